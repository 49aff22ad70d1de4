// A tree of neurons for many tokens, by hand for AVX2: the top levels token by token, as their rows stay in the cache; then tokens
// sorted by subtree, and each subtree walked depth first, so that up to four tokens share each row that is loaded.
#include <immintrin.h>
#include "gelu.h"

#define ALWAYS static inline __attribute__((always_inline))

typedef struct {
  const float *x, *w1, *b1, *w2;
  float *y, *scores;  // scores[tokens][levels], before the activation
  int32_t *order, *aside;  // tokens, those of one subtree side by side; room to part them
  int64_t path[32];
  int width, levels;
} Tree;

ALWAYS float sum8(__m256 v) {
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

// Scores of `count` tokens, a constant, at one node: each weight is loaded once.
ALWAYS void dots(const Tree *f, int64_t node, const int32_t *tokens, int count, int level) {
  const float *w = f->w1 + node * f->width;
  const float *x[4];
  __m256 a[4][8];
  const int deep = count == 1 ? 8 : count == 2 ? 4 : 2;  // eight sums in flight, whoever's they are
  for (int k = 0; k < count; k++) {
    x[k] = f->x + (int64_t)tokens[k] * f->width;
    for (int j = 0; j < deep; j++) a[k][j] = _mm256_setzero_ps();
  }
  int i = 0;
  for (; i + 8 * deep <= f->width; i += 8 * deep)
    for (int j = 0; j < deep; j++) {
      __m256 v = _mm256_loadu_ps(w + i + 8 * j);
      for (int k = 0; k < count; k++) a[k][j] = _mm256_fmadd_ps(_mm256_loadu_ps(x[k] + i + 8 * j), v, a[k][j]);
    }
  for (; i + 8 <= f->width; i += 8)
    for (int k = 0; k < count; k++) a[k][0] = _mm256_fmadd_ps(_mm256_loadu_ps(x[k] + i), _mm256_loadu_ps(w + i), a[k][0]);
  for (int k = 0; k < count; k++) {
    for (int j = 1; j < deep; j++) a[k][0] = _mm256_add_ps(a[k][0], a[k][j]);
    float s = sum8(a[k][0]);
    for (int r = i; r < f->width; r++) s += x[k][r] * w[r];
    f->scores[(int64_t)tokens[k] * f->levels + level] = s + f->b1[node];
  }
}

// Outputs of `count` tokens, a constant, that took the same path: every row is loaded once, every output stored once.
ALWAYS void outputs(const Tree *f, const int32_t *tokens, int count) {
  float a[4][32];
  float *y[4];
  const float *w[32];
  for (int l = 0; l < f->levels; l++) w[l] = f->w2 + f->path[l] * f->width;
  for (int k = 0; k < count; k++) {
    y[k] = f->y + (int64_t)tokens[k] * f->width;
    for (int l = 0; l < f->levels; l++) a[k][l] = gelu(f->scores[(int64_t)tokens[k] * f->levels + l]);
  }
  int o = 0;
  for (; o + 16 <= f->width; o += 16) {
    __m256 v[4][2];
    for (int k = 0; k < count; k++) v[k][0] = v[k][1] = _mm256_setzero_ps();
    for (int l = 0; l < f->levels; l++) {
      __m256 p = _mm256_loadu_ps(w[l] + o), q = _mm256_loadu_ps(w[l] + o + 8);
      for (int k = 0; k < count; k++) {
        __m256 c = _mm256_set1_ps(a[k][l]);
        v[k][0] = _mm256_fmadd_ps(c, p, v[k][0]);
        v[k][1] = _mm256_fmadd_ps(c, q, v[k][1]);
      }
    }
    for (int k = 0; k < count; k++) {
      _mm256_storeu_ps(y[k] + o, v[k][0]);
      _mm256_storeu_ps(y[k] + o + 8, v[k][1]);
    }
  }
  for (; o < f->width; o++)
    for (int k = 0; k < count; k++) {
      float s = 0;
      for (int l = 0; l < f->levels; l++) s += a[k][l] * w[l][o];
      y[k][o] = s;
    }
}

// Calls WHAT(..., count) with a constant count for all tokens from `low` to `high`, four at a time.
#define IN_FOURS(low, high, WHAT)                                     \
  for (int32_t at = (low); at < (high);) {                            \
    const int32_t *tokens = f->order + at;                            \
    switch ((high) - at) {                                            \
      case 1: WHAT(1); at += 1; break;                                \
      case 2: WHAT(2); at += 2; break;                                \
      case 3: WHAT(3); at += 3; break;                                \
      default: WHAT(4); at += 4;                                      \
    }                                                                 \
  }

static void walk(Tree *f, int64_t node, int level, int32_t low, int32_t high) {
  if (low == high) return;
  f->path[level] = node;
#define DOTS(count) dots(f, node, tokens, count, level)
  IN_FOURS(low, high, DOTS)
  if (level + 1 == f->levels) {
#define OUTPUTS(count) outputs(f, tokens, count)
    IN_FOURS(low, high, OUTPUTS)
    return;
  }
  int32_t left = low, right = 0;
  for (int32_t at = low; at < high; at++) {
    int32_t t = f->order[at];
    if (f->scores[(int64_t)t * f->levels + level] > 0) f->aside[right++] = t;
    else f->order[left++] = t;
  }
  memcpy(f->order + left, f->aside, sizeof(int32_t) * right);
  walk(f, 2 * node + 1, level + 1, low, left);
  walk(f, 2 * node + 2, level + 1, left, high);
}

// y[tokens, width] = sum over levels of gelu(x . w1[n] + b1[n]) * w2[n]; nodes in heap order, right if the score is above 0.
// `room` has tokens * (levels + 3) numbers.
void tree_tiled(const float *x, const float *w1, const float *b1, const float *w2, float *y, void *room, int32_t tokens,
                int32_t width, int32_t levels) {
  // As many top levels as give every subtree at least 16 tokens, six at most: their 63 rows are 190 KB at a width of 768. Few
  // tokens fit the cache themselves, and are walked from the root.
  int top = 0;
  while (tokens >= 2048 && top < 6 && top + 1 < levels && tokens >> (top + 1) >= 16) top++;
  float *scores = room;
  int32_t *order = (int32_t *)(scores + (int64_t)tokens * levels), *aside = order + tokens, *group = aside + tokens;
  Tree all = {x, w1, b1, w2, y, scores, order, aside, {0}, width, levels}, *f = &all;
  int32_t start[65] = {0};
  for (int32_t t = 0; t < tokens; t++) {
    int64_t n = 0;
    for (int l = 0; l < top; l++) {
      dots(f, n, &t, 1, l);
      n = 2 * n + 1 + (scores[(int64_t)t * levels + l] > 0);
    }
    group[t] = (int32_t)(n + 1 - (1 << top));
    start[group[t] + 1]++;
  }
  for (int g = 0; g < 1 << top; g++) start[g + 1] += start[g];
  int32_t next[64];
  memcpy(next, start, sizeof next);
  for (int32_t t = 0; t < tokens; t++) order[next[group[t]]++] = t;
  for (int g = 0; g < 1 << top; g++) {
    int64_t n = g + (1 << top) - 1;
    for (int64_t l = top, m = n; l > 0; l--) f->path[l - 1] = m = (m - 1) / 2;
    walk(f, n, top, start[g], start[g + 1]);
  }
}
