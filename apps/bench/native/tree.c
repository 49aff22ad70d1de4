// A tree of neurons as a C programmer would write it for AVX2: one token at a time, all scores first, then the outputs in
// passes of six rows. Compiled with -O3 -march=native -ffp-contract=fast; the compiler vectorises the loops.
#include <math.h>
#include <stdint.h>
#include <string.h>

static float dot(const float *restrict a, const float *restrict b, int n) {
  float part[32] = {0};
  int i = 0;
  for (; i + 32 <= n; i += 32)
    for (int j = 0; j < 32; j++) part[j] += a[i + j] * b[i + j];
  float sum = 0;
  for (int j = 0; j < 32; j++) sum += part[j];
  for (; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static float gelu(float s) { return 0.5f * s * (1.0f + erff(s * 0.70710678f)); }

// y[tokens, width] = sum over levels of gelu(x . w1[n] + b1[n]) * w2[n]; nodes in heap order, right if the score is above 0.
void tree(const float *x, const float *w1, const float *b1, const float *w2, float *y, int32_t tokens, int32_t width,
          int32_t levels) {
  for (int t = 0; t < tokens; t++) {
    const float *row = x + (int64_t)t * width;
    float *restrict out = y + (int64_t)t * width;
    float a[32];
    const float *w[32];
    int n = 0;
    for (int l = 0; l < levels; l++) {
      float s = dot(row, w1 + (int64_t)n * width, width) + b1[n];
      a[l] = gelu(s);
      w[l] = w2 + (int64_t)n * width;
      n = 2 * n + 1 + (s > 0);
    }
    int l = 0;
    memset(out, 0, sizeof(float) * width);
    for (; l + 6 <= levels; l += 6)
      for (int o = 0; o < width; o++)
        out[o] += a[l] * w[l][o] + a[l + 1] * w[l + 1][o] + a[l + 2] * w[l + 2][o] + a[l + 3] * w[l + 3][o] +
                  a[l + 4] * w[l + 4][o] + a[l + 5] * w[l + 5][o];
    for (; l < levels; l++)
      for (int o = 0; o < width; o++) out[o] += a[l] * w[l][o];
  }
}
