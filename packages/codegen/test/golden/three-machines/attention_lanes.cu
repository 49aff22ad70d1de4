// by hand
// For sm_80 and newer. Compile with -fmad=false and without fast math: what is to be fused is written fmaf.

namespace espalier {
#ifndef ESPALIER_HOST  // a compiler for the host brings its own
__device__ __forceinline__ float max(float a, float b) {
  float result;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
#endif
__device__ __forceinline__ int wrapping_sub(int a, int b) { return (int)((unsigned)a - (unsigned)b); }
__device__ __forceinline__ float warp_max(float v) {
  for (int distance = 16; distance > 0; distance /= 2) v = espalier::max(v, __shfl_xor_sync(0xffffffffu, v, distance));
  return v;
}
__device__ __forceinline__ float warp_add(float v) {
  for (int distance = 16; distance > 0; distance /= 2) v = v + __shfl_xor_sync(0xffffffffu, v, distance);
  return v;
}
}  // namespace espalier

// softmax(q · kᵀ) · v
extern "C" __global__ void __launch_bounds__(128) attention_lanes(
    const float* __restrict__ q, const float* __restrict__ k, const float* __restrict__ v,
    const int* __restrict__ mask, const float* __restrict__ scale, float* __restrict__ y, int B, int S
) {
  float sums[2];
  const int subgroup = (int)(threadIdx.x / 32);
  const int subgroup_lane = (int)(threadIdx.x % 32);
  const int group = (int)blockIdx.x;
  const int query = group * 4 + subgroup;
  const int batch = query / (2 * max(S, 1));
  const int head = query / max(S, 1) % 2;
  const int s = query % max(S, 1);
  if (batch < B) {
    float top = -__int_as_float(0x7f800000);
    float total = 0.0f;
    #pragma unroll
    for (int z = 0; z < 2; ++z) {
      sums[z] = 0.0f;
    }
    for (int block = 0; block < S; block += 32) {
      const int key = block + subgroup_lane;
      float score = -__int_as_float(0x7f800000);
      if (key < S) {
        float dot = 0.0f;
        for (int d = 0; d < 36; ++d) {
          dot = fmaf(q[72 * S * batch + 36 * head + 72 * s + d], k[72 * S * batch + 36 * head + 72 * key + d], dot);
        }
        const float hidden = (float)espalier::wrapping_sub(1, mask[S * batch + key]);
        score = fmaf(dot, scale[0], hidden * -3.4028235e+38f);
      }
      const float max_all = espalier::warp_max(score);
      const float higher = espalier::max(top, max_all);
      const float exp_x = top - higher;
      const int exp_bits = __float_as_int(exp_x);
      const int exp_size = exp_bits & 0x7fffffff;
      const float exp_y = __int_as_float(min(exp_size, 1121058816) | (exp_bits & (int)0x80000000));
      const float exp_n = rintf(exp_y * 1.442695f);
      const float exp_r = fmaf(exp_n, 0.00021219444f, fmaf(exp_n, -0.6933594f, exp_y));
      const int exp_twice = __float_as_int(exp_n + 12583166.0f);
      const int exp_half = (int)((unsigned)exp_twice >> 1);
      const float shrink = exp_size > 2139095040 ? __int_as_float(exp_bits | 0x7fc00000) : fmaf(fmaf(fmaf(fmaf(fmaf(fmaf(0.0013939254f, exp_r, 0.008366982f), exp_r, 0.04166642f), exp_r, 0.16666539f), exp_r, 0.5f), exp_r, 1.0f), exp_r, 1.0f) * __int_as_float((int)((unsigned)exp_half << 23)) * __int_as_float((int)((unsigned)espalier::wrapping_sub(exp_twice, exp_half) << 23));
      const float exp_x_1 = score - higher;
      const int exp_bits_1 = __float_as_int(exp_x_1);
      const int exp_size_1 = exp_bits_1 & 0x7fffffff;
      const float exp_y_1 = __int_as_float(min(exp_size_1, 1121058816) | (exp_bits_1 & (int)0x80000000));
      const float exp_n_1 = rintf(exp_y_1 * 1.442695f);
      const float exp_r_1 = fmaf(exp_n_1, 0.00021219444f, fmaf(exp_n_1, -0.6933594f, exp_y_1));
      const int exp_twice_1 = __float_as_int(exp_n_1 + 12583166.0f);
      const int exp_half_1 = (int)((unsigned)exp_twice_1 >> 1);
      const float p = exp_size_1 > 2139095040 ? __int_as_float(exp_bits_1 | 0x7fc00000) : fmaf(fmaf(fmaf(fmaf(fmaf(fmaf(0.0013939254f, exp_r_1, 0.008366982f), exp_r_1, 0.04166642f), exp_r_1, 0.16666539f), exp_r_1, 0.5f), exp_r_1, 1.0f), exp_r_1, 1.0f) * __int_as_float((int)((unsigned)exp_half_1 << 23)) * __int_as_float((int)((unsigned)espalier::wrapping_sub(exp_twice_1, exp_half_1) << 23));
      const float add_all = espalier::warp_add(p);
      total = fmaf(total, shrink, add_all);
      top = higher;
      #pragma unroll
      for (int c = 0; c < 2; ++c) {
        sums[c] = sums[c] * shrink;
      }
      for (int r = 0, r_end = min(32, S - block); r < r_end; ++r) {
        const float p_r = __shfl_sync(0xffffffffu, p, r);
        for (int o = subgroup_lane; o < 36; o += 32) {
          sums[o / 32] = fmaf(p_r, v[72 * S * batch + 36 * head + 72 * block + 72 * r + o], sums[o / 32]);
        }
      }
    }
    for (int out = subgroup_lane; out < 36; out += 32) {
      y[72 * S * batch + 36 * head + 72 * s + out] = sums[out / 32] / total;
    }
  }
}
