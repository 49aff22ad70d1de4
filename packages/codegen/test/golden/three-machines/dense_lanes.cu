// by hand
// For sm_80 and newer. Compile with -fmad=false and without fast math: what is to be fused is written fmaf.

// y[t, o] = (sum i: x[t, i] * w[o, i]) + b[o]
extern "C" __global__ void __launch_bounds__(128) dense_lanes(
    const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b, float* __restrict__ y,
    int T
) {
  __shared__ float x_tile[128];
  __shared__ float w_tile[256];
  const int lane = (int)threadIdx.x;
  const int subgroup_lane = (int)(threadIdx.x % 32);
  const int subgroup = (int)(threadIdx.x / 32);
  const int tile = (int)blockIdx.x;
  const int row = tile / 2 * 16;
  const int column = tile % 2 * 32;
  float sum_0 = 0.0f;
  float sum_1 = 0.0f;
  float sum_2 = 0.0f;
  float sum_3 = 0.0f;
  for (int depth = 0; depth < 12; depth += 8) {
    for (int xs = 0; xs < 1; ++xs) {
      const int xs_row = (xs * 128 + lane) / 8;
      const int xs_column = (xs * 128 + lane) % 8;
      x_tile[xs_column + 8 * xs_row] = row + xs_row < T && depth + xs_column < 12 ? x[min(depth + xs_column, 11) + 12 * min(row + xs_row, T - 1)] : 0.0f;
    }
    for (int ws = 0; ws < 2; ++ws) {
      const int ws_row = (ws * 128 + lane) / 8;
      const int ws_column = (ws * 128 + lane) % 8;
      w_tile[ws_column + 8 * ws_row] = column + ws_row < 40 && depth + ws_column < 12 ? w[12 * min(column + ws_row, 39) + min(depth + ws_column, 11)] : 0.0f;
    }
    __syncthreads();
    for (int i = 0; i < 8; ++i) {
      const float w_i = w_tile[8 * subgroup_lane + i];
      sum_0 = fmaf(x_tile[8 * subgroup + i], w_i, sum_0);
      sum_1 = fmaf(x_tile[8 * subgroup + i + 32], w_i, sum_1);
      sum_2 = fmaf(x_tile[8 * subgroup + i + 64], w_i, sum_2);
      sum_3 = fmaf(x_tile[8 * subgroup + i + 96], w_i, sum_3);
    }
    // The next tile may be written when everybody has read this one.
    __syncthreads();
  }
  const int o = column + subgroup_lane;
  if (o < 40) {
    if (row + subgroup < T) {
      y[40 * subgroup + o + 40 * row] = sum_0 + b[o];
    }
    if (row + (subgroup + 4) < T) {
      y[40 * subgroup + o + 40 * row + 160] = sum_1 + b[o];
    }
    if (row + (subgroup + 8) < T) {
      y[40 * subgroup + o + 40 * row + 320] = sum_2 + b[o];
    }
    if (row + (subgroup + 12) < T) {
      y[40 * subgroup + o + 40 * row + 480] = sum_3 + b[o];
    }
  }
}
