// What this machine does at most on one core: multiply-adds in registers, and reading memory in order and row by row.
#include <stdint.h>

typedef float v8 __attribute__((vector_size(32)));
typedef float v8u __attribute__((vector_size(32), aligned(4)));
typedef float v4 __attribute__((vector_size(16)));

// Twelve sums keep two units of five cycles busy. Returns something that depends on every operation, so that none can be left out.
#define FMA_PEAK(NAME, V, LANES)                                     \
  float NAME(int64_t rounds) {                                       \
    V a[12], x, y = {0};                                             \
    for (int j = 0; j < LANES; j++) x[j] = 1;                        \
    for (int i = 0; i < 12; i++) a[i] = y + (float)i;                \
    for (int64_t r = 0; r < rounds; r++) {                           \
      for (int i = 0; i < 12; i++) a[i] = a[i] * x + y;              \
      /* The compiler can't know that x is 1 and y is 0. */          \
      __asm__ volatile("" : "+x"(x), "+x"(y));                       \
    }                                                                \
    float sum = 0;                                                   \
    for (int i = 0; i < 12; i++)                                     \
      for (int j = 0; j < LANES; j++) sum += a[i][j];                \
    return sum;                                                      \
  }

FMA_PEAK(fma_256, v8, 8)
#ifdef __AVX512F__
typedef float v16 __attribute__((vector_size(64)));
FMA_PEAK(fma_512, v16, 16)
#else
// 0: this processor has no vectors as wide as that.
float fma_512(int64_t rounds) { return 0 * (float)rounds; }
#endif
int32_t has_512(void) {
#ifdef __AVX512F__
  return 1;
#else
  return 0;
#endif
}
FMA_PEAK(fma_128, v4, 4)

// `count` is a multiple of 64.
static inline void add_all(v8 a[8], const float *data, int64_t count) {
  for (int64_t i = 0; i < count; i += 64)
    for (int j = 0; j < 8; j++) a[j] += *(const v8u *)(data + i + 8 * j);
}

static inline float total(const v8 a[8]) {
  float sum = 0;
  for (int j = 0; j < 8; j++)
    for (int k = 0; k < 8; k++) sum += a[j][k];
  return sum;
}

float read_all(const float *data, int64_t count) {
  v8 a[8] = {{0}};
  add_all(a, data, count);
  return total(a);
}

// Rows of `width` numbers, a multiple of 64, in the order given.
float read_rows(const float *data, const int32_t *rows, int64_t count, int64_t width) {
  v8 a[8] = {{0}};
  for (int64_t i = 0; i < count; i++) add_all(a, data + rows[i] * width, width);
  return total(a);
}
