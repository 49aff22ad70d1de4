// The algorithms of UltraFastBERT's programs (arXiv 2311.10770), on given weights and with all of them read: plain loops, BLAS
// level 1 a node, and the gathers and batched products of its PyTorch module.
#include <cblas.h>
#include <stdlib.h>
#include "gelu.h"

void openblas_set_num_threads(int threads);
void set_threads(int32_t threads) { openblas_set_num_threads(threads); }

// Loops as one writes them down. Without leave to reorder sums a compiler adds one product after the other.
void tree_naive(const float *x, const float *w1, const float *b1, const float *w2, float *y, int32_t tokens, int32_t width,
                int32_t levels) {
  for (int t = 0; t < tokens; t++) {
    const float *row = x + (int64_t)t * width;
    float *out = y + (int64_t)t * width;
    for (int o = 0; o < width; o++) out[o] = 0;
    for (int64_t l = 0, n = 0; l < levels; l++) {
      float s = b1[n];
      for (int i = 0; i < width; i++) s += row[i] * w1[n * width + i];
      float a = gelu(s);
      for (int o = 0; o < width; o++) out[o] += a * w2[n * width + o];
      n = 2 * n + 1 + (s > 0);
    }
  }
}

// One sdot and one saxpy a node.
void tree_blas(const float *x, const float *w1, const float *b1, const float *w2, float *y, int32_t tokens, int32_t width,
               int32_t levels) {
  for (int t = 0; t < tokens; t++) {
    const float *row = x + (int64_t)t * width;
    float *out = y + (int64_t)t * width;
    memset(out, 0, sizeof(float) * width);
    for (int64_t l = 0, n = 0; l < levels; l++) {
      float s = cblas_sdot(width, row, 1, w1 + n * width, 1) + b1[n];
      cblas_saxpy(width, gelu(s), w2 + n * width, 1, out, 1);
      n = 2 * n + 1 + (s > 0);
    }
  }
}

// Level by level for all tokens: rows are copied together (index_select), then multiplied token by token (bmm); all the rows of
// output weights are copied together at the end. `room` has tokens * levels * (width + 2) numbers.
void tree_bmm(const float *x, const float *w1, const float *b1, const float *w2, float *y, float *room, int32_t tokens,
              int32_t width, int32_t levels) {
  int64_t T = tokens, L = levels, D = width;
  float *rows = room, *scores = rows + T * L * D, *nodes = scores + T * L;
  for (int64_t l = 0; l < L; l++) {
    for (int64_t t = 0; t < T; t++) {
      float *node = nodes + t * L + l;
      *node = l == 0 ? 0 : 2 * node[-1] + 1 + (scores[t * L + l - 1] > 0);
      memcpy(rows + t * D, w1 + (int64_t)*node * D, sizeof(float) * D);
    }
    for (int64_t t = 0; t < T; t++)
      scores[t * L + l] = cblas_sdot(D, x + t * D, 1, rows + t * D, 1) + b1[(int64_t)nodes[t * L + l]];
  }
  for (int64_t i = 0; i < T * L; i++) {
    scores[i] = gelu(scores[i]);
    memcpy(rows + i * D, w2 + (int64_t)nodes[i] * D, sizeof(float) * D);
  }
  for (int64_t t = 0; t < T; t++)
    cblas_sgemv(CblasRowMajor, CblasTrans, L, D, 1, rows + t * L * D, D, scores + t * L, 1, 0, y + t * D, 1);
}
