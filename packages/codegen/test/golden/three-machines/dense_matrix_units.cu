// by hand
// For sm_80 and newer. Compile with -fmad=false and without fast math: what is to be fused is written fmaf.

namespace espalier {
#ifndef ESPALIER_HOST  // a compiler for the host brings its own
__device__ __forceinline__ unsigned tf32(float a) {
  unsigned result;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(result) : "f"(a));
  return result;
}
__device__ __forceinline__ void mma_k8_tf32(float* c, const unsigned* a, const unsigned* b) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif
template <class T>
__device__ __forceinline__ void load_a_k8_tf32(unsigned* to, const T* from, int row, int column) {
  const int group = threadIdx.x % 32 / 4, member = threadIdx.x % 4;
  to[0] = tf32(from[group * row + member * column]);
  to[1] = tf32(from[(group + 8) * row + member * column]);
  to[2] = tf32(from[group * row + (member + 4) * column]);
  to[3] = tf32(from[(group + 8) * row + (member + 4) * column]);
}
template <class T>
__device__ __forceinline__ void load_b_k8_tf32(unsigned* to, const T* from, int row, int column) {
  const int group = threadIdx.x % 32 / 4, member = threadIdx.x % 4;
  to[0] = tf32(from[member * row + group * column]);
  to[1] = tf32(from[(member + 4) * row + group * column]);
}
__device__ __forceinline__ void store_c(const float* c, float* to, int row, int column) {
  const int group = threadIdx.x % 32 / 4, member = threadIdx.x % 4;
  to[group * row + (member * 2) * column] = c[0];
  to[group * row + (member * 2 + 1) * column] = c[1];
  to[(group + 8) * row + (member * 2) * column] = c[2];
  to[(group + 8) * row + (member * 2 + 1) * column] = c[3];
}
}  // namespace espalier

// y[t, o] = (sum i: x[t, i] * w[o, i]) + b[o]
extern "C" __global__ void __launch_bounds__(128) dense_matrix_units(
    const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b, float* __restrict__ y,
    int T
) {
  __shared__ __align__(16) float x_tile[256];
  __shared__ __align__(16) float w_tile[256];
  __shared__ __align__(16) float y_tile[1024];
  unsigned a[4];
  unsigned bt[4];
  float c[8];
  const int lane = (int)threadIdx.x;
  const int subgroup = (int)(threadIdx.x / 32);
  const int tile = (int)blockIdx.x;
  const int row = tile / 2 * 32;
  const int column = tile % 2 * 32;
  for (float& each : c) each = 0;
  for (int depth = 0; depth < 12; depth += 8) {
    for (int xs = 0; xs < 2; ++xs) {
      const int xs_row = (xs * 128 + lane) / 8;
      const int xs_column = (xs * 128 + lane) % 8;
      x_tile[xs_column + 8 * xs_row] = row + xs_row < T && depth + xs_column < 12 ? x[min(depth + xs_column, 11) + 12 * min(row + xs_row, T - 1)] : 0.0f;
    }
    for (int ws = 0; ws < 2; ++ws) {
      const int ws_row = (ws * 128 + lane) / 8;
      const int ws_column = (ws * 128 + lane) % 8;
      w_tile[32 * ws_column + ws_row] = column + ws_row < 40 && depth + ws_column < 12 ? w[12 * min(column + ws_row, 39) + min(depth + ws_column, 11)] : 0.0f;
    }
    __syncthreads();
    espalier::load_a_k8_tf32(a, &x_tile[128 * (subgroup / 2)], 8, 1);
    espalier::load_b_k8_tf32(bt, &w_tile[16 * (subgroup % 2)], 32, 1);
    espalier::load_b_k8_tf32(bt + 2, &w_tile[16 * (subgroup % 2) + 8], 32, 1);
    espalier::mma_k8_tf32(c, a, bt);
    espalier::mma_k8_tf32(c + 4, a, bt + 2);
    __syncthreads();
  }
  espalier::store_c(c, &y_tile[512 * (subgroup / 2) + 16 * (subgroup % 2)], 32, 1);
  espalier::store_c(c + 4, &y_tile[512 * (subgroup / 2) + 16 * (subgroup % 2) + 8], 32, 1);
  __syncwarp();
  __syncthreads();
  for (int ys = 0; ys < 8; ++ys) {
    const int ys_row = (ys * 128 + lane) / 32;
    const int ys_column = (ys * 128 + lane) % 32;
    if (row + ys_row < T && column + ys_column < 40) {
      y[column + 40 * row + ys_column + 40 * ys_row] = y_tile[ys_column + 32 * ys_row] + b[column + ys_column];
    }
  }
}
