// by hand
// For sm_80 and newer. Compile with -fmad=false and without fast math: what is to be fused is written fmaf.

namespace espalier {
__device__ __forceinline__ float warp_add(float v) {
  for (int distance = 16; distance > 0; distance /= 2) v = v + __shfl_xor_sync(0xffffffffu, v, distance);
  return v;
}
}  // namespace espalier

// y[t, o] = sum k: descend …
extern "C" __global__ void __launch_bounds__(128) tree_lanes(
    const float* __restrict__ x, const float* __restrict__ w1, const float* __restrict__ b1,
    const float* __restrict__ w2, float* __restrict__ y, int T
) {
  float sums[2];
  const int subgroup = (int)(threadIdx.x / 32);
  const int subgroup_lane = (int)(threadIdx.x % 32);
  const int group = (int)blockIdx.x;
  const int t = group * 4 + subgroup;
  // A subgroup without a token rests as a whole: its lanes still agree.
  if (t < T) {
    #pragma unroll
    for (int z = 0; z < 2; ++z) {
      sums[z] = 0.0f;
    }
    for (int tree = 0; tree < 2; ++tree) {
      int node = 0;
      for (int level = 0; level < 4; ++level) {
        float part = 0.0f;
        for (int i = subgroup_lane; i < 12; i += 32) {
          part = fmaf(x[12 * t + i], w1[12 * node + 180 * tree + i], part);
        }
        const float add_all = espalier::warp_add(part);
        const float s = add_all + b1[node + 15 * tree];
        const float erf_x = s * 0.70710677f;
        const int erf_bits = __float_as_int(erf_x);
        const int erf_size = erf_bits & 0x7fffffff;
        const float erf_t = __int_as_float(min(erf_size, 1082130432));
        const float erf_z = erf_t * erf_t;
        const float erf_q = fmaf(fmaf(fmaf(fmaf(fmaf(fmaf(0.0002859771f, erf_t, -0.004422623f), erf_t, 0.03219423f), erf_t, -0.15020458f), erf_t, -0.918962f), erf_t, -1.6270676f), erf_t, -0.00024012927f);
        const float erf_n = rintf(erf_q);
        const float erf_f = erf_q - erf_n;
        const float a = 0.5f * s * (1.0f + (erf_size > 2139095040 ? __int_as_float(erf_bits | 0x7fc00000) : __int_as_float(__float_as_int(erf_size < 1063675494 ? fmaf(erf_t, fmaf(fmaf(fmaf(fmaf(fmaf(-0.00060524617f, erf_z, 0.00500416f), erf_z, -0.026773285f), erf_z, 0.11281976f), erf_z, -0.37612507f), erf_z, 0.12837915f), erf_t) : 1.0f - fmaf(fmaf(fmaf(fmaf(fmaf(0.0013415691f, erf_f, 0.009680688f), erf_f, 0.05550277f), erf_f, 0.24021985f), erf_f, 0.69314724f), erf_f, 1.0000001f) * __int_as_float((int)((unsigned)__float_as_int(erf_n + 12583039.0f) << 23))) | (erf_bits & (int)0x80000000))));
        for (int o = subgroup_lane; o < 40; o += 32) {
          sums[o / 32] = fmaf(a, w2[40 * node + 600 * tree + o], sums[o / 32]);
        }
        node = node * 2 + 1 + (int)(s > 0.0f);
      }
    }
    for (int out = subgroup_lane; out < 40; out += 32) {
      y[40 * t + out] = sums[out / 32];
    }
  }
}
