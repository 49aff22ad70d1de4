// The algorithms of UltraFastBERT's programs (arXiv 2311.10770), on given weights and with all of them read: plain loops, BLAS
// level 1 a node, and the gathers and batched products of its PyTorch module. "Levels" are those of BLAS: vectors, a matrix and a
// vector, two matrices; there is no level 3 for a tree, and level 3 for a dense layer is dense.c.
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

// Level 1 in the published order: level by level of the tree, each for all tokens, so that inputs and outputs of all tokens pass
// through the caches once a level. `room` has `tokens` numbers.
void tree_level1(const float *x, const float *w1, const float *b1, const float *w2, float *y, float *room, int32_t tokens,
                 int32_t width, int32_t levels) {
  int64_t D = width;
  memset(y, 0, sizeof(float) * D * tokens);
  memset(room, 0, sizeof(float) * tokens);
  for (int l = 0; l < levels; l++)
    for (int64_t t = 0; t < tokens; t++) {
      int64_t n = (int64_t)room[t];
      float s = cblas_sdot(D, x + t * D, 1, w1 + n * D, 1) + b1[n];
      cblas_saxpy(D, gelu(s), w2 + n * D, 1, y + t * D, 1);
      room[t] = 2 * n + 1 + (s > 0);
    }
}

// Level 2: a level of the tree is a batch of products of a matrix of one row and a vector, one a token, then one GELU over all scores,
// then a batch of scaled sums. `room` has 2 * tokens numbers.
void tree_level2(const float *x, const float *w1, const float *b1, const float *w2, float *y, float *room, int32_t tokens,
                 int32_t width, int32_t levels) {
  int64_t D = width;
  float *nodes = room, *scores = room + tokens;
  memset(y, 0, sizeof(float) * D * tokens);
  memset(nodes, 0, sizeof(float) * tokens);
  for (int l = 0; l < levels; l++) {
    for (int64_t t = 0; t < tokens; t++) {
      int64_t n = (int64_t)nodes[t];
      scores[t] = b1[n];
      cblas_sgemv(CblasRowMajor, CblasNoTrans, 1, D, 1, w1 + n * D, D, x + t * D, 1, 1, scores + t, 1);
    }
    for (int64_t t = 0; t < tokens; t++) {
      int64_t n = (int64_t)nodes[t];
      nodes[t] = 2 * n + 1 + (scores[t] > 0);
      float a = gelu(scores[t]);
      cblas_saxpy(D, a, w2 + n * D, 1, y + t * D, 1);
    }
  }
}

// A dense layer at level 1: one dot product and one scaled sum a neuron and token. `w2` has a row a neuron, as in the published programs.
void dense_level1(const float *x, const float *w1, const float *b1, const float *w2, const float *b2, float *h, float *y,
                  int32_t tokens, int32_t width, int32_t hidden) {
  int64_t D = width;
  (void)h;
  for (int64_t t = 0; t < tokens; t++) {
    memcpy(y + t * D, b2, sizeof(float) * D);
    for (int64_t j = 0; j < hidden; j++)
      cblas_saxpy(D, gelu(cblas_sdot(D, x + t * D, 1, w1 + j * D, 1) + b1[j]), w2 + j * D, 1, y + t * D, 1);
  }
}

// At level 2: two products of a matrix and a vector a token. What a batched product of one row each (torch.bmm) comes down to, too.
void dense_level2(const float *x, const float *w1, const float *b1, const float *w2, const float *b2, float *h, float *y,
                  int32_t tokens, int32_t width, int32_t hidden) {
  int64_t D = width;
  for (int64_t t = 0; t < tokens; t++) {
    memcpy(h, b1, sizeof(float) * hidden);
    memcpy(y + t * D, b2, sizeof(float) * D);
    cblas_sgemv(CblasRowMajor, CblasNoTrans, hidden, D, 1, w1, D, x + t * D, 1, 1, h, 1);
    for (int j = 0; j < hidden; j++) h[j] = gelu(h[j]);
    cblas_sgemv(CblasRowMajor, CblasTrans, hidden, D, 1, w2, D, h, 1, 1, y + t * D, 1);
  }
}
