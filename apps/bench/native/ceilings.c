// What this machine does at most on one core: multiply-adds in registers, and reading memory in order.
#include <stdint.h>

typedef float v8 __attribute__((vector_size(32)));

// Returns something that depends on every operation, so that none can be left out.
float fma_peak(int64_t rounds) {
  v8 a[12], x = {1, 1, 1, 1, 1, 1, 1, 1}, y = {0};
  for (int i = 0; i < 12; i++) a[i] = y + (float)i;
  for (int64_t r = 0; r < rounds; r++) {
    for (int i = 0; i < 12; i++) a[i] = a[i] * x + y;
    __asm__ volatile("" : "+x"(x), "+x"(y));
  }
  float sum = 0;
  for (int i = 0; i < 12; i++)
    for (int j = 0; j < 8; j++) sum += a[i][j];
  return sum;
}

float read_all(const float *data, int64_t count) {
  v8 a[8] = {{0}};
  for (int64_t i = 0; i + 64 <= count; i += 64)
    for (int j = 0; j < 8; j++) a[j] += *(const v8 *)(data + i + 8 * j);
  float sum = 0;
  for (int j = 0; j < 8; j++)
    for (int k = 0; k < 8; k++) sum += a[j][k];
  return sum;
}
