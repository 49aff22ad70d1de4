/*
 * cuBLASLt as far as a matrix product needs it, over the fake driver's host memory: column-major, transposition of the first
 * operand, float32 and bfloat16. For testing that the calls are made in the right order with the right parameters.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern int cuStreamSynchronize(void *stream);

struct Description { int compute, scale, transpose_a; };
struct Layout { int type; uint64_t rows, columns; int64_t leading; };
struct Result { uint64_t algorithm[8]; size_t workspace; int state; float waves; int reserved[4]; };
static int handles;

int cublasLtCreate(void **out) { *out = &handles; handles++; return 0; }
int cublasLtDestroy(void *handle) { if (handle != &handles) return 7; handles--; return 0; }
int fake_handles(void) { return handles; }

int cublasLtMatmulDescCreate(struct Description **out, int compute, int scale) {
  if (scale != 0) return 7;
  *out = calloc(1, sizeof **out);
  (*out)->compute = compute;
  handles++;
  return 0;
}
int cublasLtMatmulDescSetAttribute(struct Description *d, int attribute, const void *value, size_t bytes) {
  if (attribute != 3 || bytes != 4) return 7;
  memcpy(&d->transpose_a, value, 4);
  return 0;
}
int cublasLtMatmulDescDestroy(struct Description *d) { free(d); handles--; return 0; }
int cublasLtMatrixLayoutCreate(struct Layout **out, int type, uint64_t rows, uint64_t columns, int64_t leading) {
  if ((type != 0 && type != 14) || leading < (int64_t)rows) return 7;
  *out = malloc(sizeof **out);
  **out = (struct Layout){ type, rows, columns, leading };
  handles++;
  return 0;
}
int cublasLtMatrixLayoutDestroy(struct Layout *l) { free(l); handles--; return 0; }
int cublasLtMatmulPreferenceCreate(void **out) { *out = calloc(1, 8); handles++; return 0; }
int cublasLtMatmulPreferenceSetAttribute(void *p, int attribute, const void *value, size_t bytes) {
  if (attribute != 1 || bytes != 8) return 7;
  memcpy(p, value, 8);
  return 0;
}
int cublasLtMatmulPreferenceDestroy(void *p) { free(p); handles--; return 0; }
int cublasLtMatmulAlgoGetHeuristic(void *handle, struct Description *d, struct Layout *a, struct Layout *b, struct Layout *c,
                                   struct Layout *e, void *preference, int wanted, struct Result *results, int *count) {
  uint64_t room;
  memcpy(&room, preference, 8);
  if (handle != &handles || !d || !a || !b || !c || !e || wanted != 1 || room == 0) return 7;
  memset(results, 0, sizeof *results);
  results->algorithm[0] = 0x5eed;
  *count = 1;
  return 0;
}

static float get(const void *from, int type, size_t i) {
  if (type == 0) return ((const float *)from)[i];
  uint32_t bits = (uint32_t)((const uint16_t *)from)[i] << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

int cublasLtMatmul(void *handle, struct Description *d, const float *alpha, const void *a, struct Layout *al, const void *b,
                   struct Layout *bl, const float *beta, const void *c, struct Layout *cl, void *out, struct Layout *ol,
                   const struct Result *algorithm, void *workspace, size_t workspace_bytes, void *stream) {
  if (handle != &handles || *alpha != 1 || *beta != 0 || c != out || !workspace || workspace_bytes == 0) return 7;
  if (algorithm->algorithm[0] != 0x5eed || cl != ol || d->transpose_a != 1) return 7;
  if (al->rows != bl->rows || ol->rows != al->columns || ol->columns != bl->columns) return 7;
  if (cuStreamSynchronize(stream) != 0) return 14;
  for (uint64_t j = 0; j < ol->columns; j++)
    for (uint64_t i = 0; i < ol->rows; i++) {
      float sum = 0;
      for (uint64_t k = 0; k < al->rows; k++) sum += get(a, al->type, i * al->leading + k) * get(b, bl->type, j * bl->leading + k);
      if (ol->type == 0) ((float *)out)[j * ol->leading + i] = sum;
      else {
        uint32_t bits;
        memcpy(&bits, &sum, 4);
        ((uint16_t *)out)[j * ol->leading + i] = (uint16_t)(bits >> 16);
      }
    }
  return 0;
}
