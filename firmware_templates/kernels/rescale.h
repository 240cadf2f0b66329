/* From integer sums to activations: multiplied by a row's scale and the vector's. Not for other files. */
#ifndef EDGESLM_RESCALE_H
#define EDGESLM_RESCALE_H

#include "fixed.h"
#include "real.h"

#if EDGESLM_FIXED

/* The sum of a row times 2^exponent; int4 adds group after group. */
static inline edgeslm_real edgeslm_rescale_wide(int64_t sum, edgeslm_scaled scale) {
  /* 31 bits of the sum are enough, and leave room for the mantissa. */
  while (sum > INT32_MAX || sum < INT32_MIN) {
    sum = edgeslm_shift(sum, 1u);
    scale.exponent++;
  }
  int64_t product = sum * (int64_t)scale.mantissa;
  int32_t shift = scale.exponent + 16;
  if (shift < 0) return edgeslm_saturate(edgeslm_shift(product, (uint32_t)-shift));
  if (product == 0) return 0;
  if (shift > 31) return product < 0 ? INT32_MIN : INT32_MAX;
  return edgeslm_saturate((int64_t)edgeslm_saturate(product) * ((int64_t)1 << shift));
}

static inline edgeslm_real edgeslm_rescale(int32_t sum, uint32_t row_scale, uint32_t x_scale) {
  edgeslm_scaled row = edgeslm_unpack_float(row_scale), x = edgeslm_unpack_float(x_scale);
  edgeslm_scaled both = {(uint32_t)((uint64_t)row.mantissa * x.mantissa >> 23), row.exponent + x.exponent + 23};
  return edgeslm_rescale_wide(sum, both);
}

static inline edgeslm_real edgeslm_sum(edgeslm_real a, edgeslm_real b) { return edgeslm_saturate((int64_t)a + b); }

#else

static inline edgeslm_real edgeslm_rescale(int32_t sum, float row_scale, float x_scale) {
  return (float)sum * (row_scale * x_scale);
}

static inline edgeslm_real edgeslm_sum(edgeslm_real a, edgeslm_real b) { return a + b; }

#endif

/* Four results into y, with what `mode` asks for. `bias` is read only if asked for. */
static inline void edgeslm_finish(edgeslm_real *y, const edgeslm_real results[4], const edgeslm_real *bias,
                                  uint32_t rows, uint32_t mode) {
  for (uint32_t row = 0; row < rows; row++) {
    edgeslm_real result = results[row];
    if (EDGESLM_BIASES && mode & EDGESLM_BIAS) result = edgeslm_sum(result, bias[row]);
    y[row] = mode & EDGESLM_ACCUMULATE ? edgeslm_sum(y[row], result) : result;
  }
}

#endif
