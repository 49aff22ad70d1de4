// A dense feedforward block on OpenBLAS: two matrix products, the activation between them in plain C that the compiler vectorises.
#include <cblas.h>
#include "gelu.h"

void openblas_set_num_threads(int threads);
void set_threads(int32_t threads) { openblas_set_num_threads(threads); }

// "OpenBLAS 0.3.21 … Haswell …": its version and the kernels that it chose for this processor.
char *openblas_get_config(void);
const char *config(void) { return openblas_get_config(); }

void dense(const float *x, const float *w1, const float *b1, const float *w2, const float *b2, float *h, float *y,
           int32_t tokens, int32_t width, int32_t hidden) {
  for (int t = 0; t < tokens; t++) memcpy(h + (int64_t)t * hidden, b1, sizeof(float) * hidden);
  if (tokens == 1) cblas_sgemv(CblasRowMajor, CblasNoTrans, hidden, width, 1, w1, width, x, 1, 1, h, 1);
  else cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, tokens, hidden, width, 1, x, width, w1, width, 1, h, hidden);
  for (int64_t i = 0; i < (int64_t)tokens * hidden; i++) h[i] = gelu(h[i]);
  for (int t = 0; t < tokens; t++) memcpy(y + (int64_t)t * width, b2, sizeof(float) * width);
  if (tokens == 1) cblas_sgemv(CblasRowMajor, CblasNoTrans, width, hidden, 1, w2, hidden, h, 1, 1, y, 1);
  else cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, tokens, width, hidden, 1, h, hidden, w2, hidden, 1, y, width);
}
