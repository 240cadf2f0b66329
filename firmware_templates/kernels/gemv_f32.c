/* float32 matrix by vector. */
#include "layout.h"
#include "real.h"

#if !EDGESLM_FIXED
void edgeslm_gemv_f32(float *y, const void *matrix, const float *x, uint32_t rows, uint32_t columns, uint32_t mode) {
  const uint8_t *block = matrix;
  const float *weights = NULL, *bias = NULL;
  for (uint32_t row = 0; row < rows; row++, weights += columns) {
    if (row % 4u == 0) {
      bias = (const void *)block;
      weights = (const void *)(block + edgeslm_bias_bytes(mode));
      block += edgeslm_block_bytes_f32(columns, mode);
    }
    float result = edgeslm_dot(weights, x, columns);
    if (EDGESLM_BIASES && mode & EDGESLM_BIAS) result += bias[row % 4u];
    y[row] = mode & EDGESLM_ACCUMULATE ? y[row] + result : result;
  }
}
#endif
