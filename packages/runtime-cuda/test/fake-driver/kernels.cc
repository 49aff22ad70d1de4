// Kernels of the tests, as host functions that the fake driver calls: the grid, the threads of a block, pointers to arguments.
#include <cstdint>

template <class T> static T argument(void **params, int i) { return *static_cast<T *>(params[i]); }

// y[i] = x[i] * w[0] + step, i < n.
extern "C" void scale(unsigned grid, unsigned block, void **params) {
  auto x = argument<const float *>(params, 0), w = argument<const float *>(params, 1);
  auto y = argument<float *>(params, 2);
  int n = argument<int32_t>(params, 3), step = argument<int32_t>(params, 4);
  for (unsigned i = 0; i < grid * block; i++)
    if (static_cast<int>(i) < n) y[i] = x[i] * w[0] + static_cast<float>(step);
}

// y[i] = table[ids[i]]; fault 2 for an index outside; the index goes by way of a word of scratch of each block.
extern "C" void lookup(unsigned grid, unsigned block, void **params) {
  auto ids = argument<const int32_t *>(params, 0);
  auto table = argument<const float *>(params, 1);
  auto y = argument<float *>(params, 2);
  auto scratch = argument<int32_t *>(params, 3);
  auto status = argument<int32_t *>(params, 4);
  int n = argument<int32_t>(params, 5), rows = argument<int32_t>(params, 6);
  for (unsigned b = 0; b < grid; b++)
    for (unsigned t = 0; t < block; t++) {
      int i = static_cast<int>(b * block + t);
      if (i >= n) continue;
      scratch[4 * b] = ids[i];
      if (scratch[4 * b] < 0 || scratch[4 * b] >= rows) *status = 2;
      else y[i] = table[scratch[4 * b]];
    }
}
