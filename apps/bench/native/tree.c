// A tree of neurons as a C programmer would write it for AVX2, by one token at a time: all scores first, each a dot product in
// eight accumulators, then the outputs in passes of six rows. Once more with weights stored as half-precision numbers.
#include "gelu.h"
#include <immintrin.h>

#ifndef __F16C__
#error "this processor does not widen half-precision numbers (F16C)"
#endif

static inline __m256 rows32(const float *p) { return _mm256_loadu_ps(p); }
static inline __m256 rows16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
static inline float one32(const float *p) { return *p; }
static inline float one16(const uint16_t *p) { return _cvtsh_ss(*p); }

static inline float sum8(__m256 v) {
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

// y[tokens, width] = sum over levels of gelu(x . w1[n] + b1[n]) * w2[n]; nodes in heap order, right if the score is above 0.
// `width` need not be a multiple of anything.
#define TREE(NAME, ROW, LOAD, ONE)                                                                                    \
  static inline float NAME##_dot(const float *x, const ROW *w, int n) {                                               \
    __m256 a[8];                                                                                                      \
    for (int j = 0; j < 8; j++) a[j] = _mm256_setzero_ps();                                                           \
    int i = 0;                                                                                                        \
    for (; i + 64 <= n; i += 64)                                                                                      \
      for (int j = 0; j < 8; j++)                                                                                     \
        a[j] = _mm256_fmadd_ps(_mm256_loadu_ps(x + i + 8 * j), LOAD(w + i + 8 * j), a[j]);                            \
    for (; i + 8 <= n; i += 8) a[0] = _mm256_fmadd_ps(_mm256_loadu_ps(x + i), LOAD(w + i), a[0]);                     \
    for (int j = 0; j < 4; j++) a[j] = _mm256_add_ps(a[j], a[j + 4]);                                                 \
    float sum = sum8(_mm256_add_ps(_mm256_add_ps(a[0], a[1]), _mm256_add_ps(a[2], a[3])));                            \
    for (; i < n; i++) sum += x[i] * ONE(w + i);                                                                      \
    return sum;                                                                                                       \
  }                                                                                                                   \
  /* out = (first ? 0 : out) + sum of a[l] * w[l], for as many rows as COUNT, a constant. */                          \
  static inline __attribute__((always_inline)) void NAME##_pass(float *out, const float *a, const ROW *const *w,      \
                                                                int count, int first, int n) {                        \
    int o = 0;                                                                                                        \
    for (; o + 8 <= n; o += 8) {                                                                                      \
      __m256 y = first ? _mm256_setzero_ps() : _mm256_loadu_ps(out + o);                                              \
      for (int l = 0; l < count; l++) y = _mm256_fmadd_ps(_mm256_set1_ps(a[l]), LOAD(w[l] + o), y);                   \
      _mm256_storeu_ps(out + o, y);                                                                                   \
    }                                                                                                                 \
    for (; o < n; o++) {                                                                                              \
      float y = first ? 0 : out[o];                                                                                   \
      for (int l = 0; l < count; l++) y += a[l] * ONE(w[l] + o);                                                      \
      out[o] = y;                                                                                                     \
    }                                                                                                                 \
  }                                                                                                                   \
  void NAME(const float *x, const ROW *w1, const float *b1, const ROW *w2, float *y, int32_t tokens, int32_t width,   \
            int32_t levels) {                                                                                         \
    for (int t = 0; t < tokens; t++) {                                                                                \
      const float *row = x + (int64_t)t * width;                                                                      \
      float *out = y + (int64_t)t * width;                                                                            \
      float a[32];                                                                                                    \
      const ROW *w[32];                                                                                               \
      for (int64_t l = 0, n = 0; l < levels; l++) {                                                                   \
        a[l] = NAME##_dot(row, w1 + n * width, width) + b1[n];                                                        \
        w[l] = w2 + n * width;                                                                                        \
        n = 2 * n + 1 + (a[l] > 0);                                                                                   \
      }                                                                                                               \
      for (int l = 0; l < levels; l++) a[l] = gelu(a[l]);                                                             \
      int l = 0;                                                                                                      \
      for (; l + 6 <= levels; l += 6) NAME##_pass(out, a + l, w + l, 6, l == 0, width);                               \
      for (; l < levels; l++) NAME##_pass(out, a + l, w + l, 1, l == 0, width);                                       \
    }                                                                                                                 \
  }

TREE(tree, float, rows32, one32)
TREE(tree_f16, uint16_t, rows16, one16)
