/* Softmax of one row. */
#include "fixed.h"
#include "kernel_cores.h"
#include "real.h"

void edgeslm_softmax(edgeslm_real *x, uint32_t n) {
  edgeslm_real greatest = x[edgeslm_argmax(x, n)];
#if EDGESLM_FIXED
  uint64_t total = 0;
  for (uint32_t i = 0; i < n; i++) {
    int32_t below = edgeslm_saturate((int64_t)x[i] - greatest);
    x[i] = (int32_t)edgeslm_exp2_fixed(edgeslm_times(below, 94548, 16u)); /* log2(e) */
    total += (uint32_t)x[i];
  }
  /* total is 1 … n with 30 fractional bits; so has its inverse */
  int32_t inverse = (int32_t)edgeslm_divide((uint64_t)1 << 44, (uint32_t)(total >> 16));
  for (uint32_t i = 0; i < n; i++) x[i] = edgeslm_times(x[i], inverse, 44u);
#else
  for (uint32_t i = 0; i < n; i++) x[i] = (x[i] - greatest) * EDGESLM_LOG2_E;
  float total = edgeslm_exp2_row(x, 0.0f, n);
  edgeslm_scale(x, 1.0f / total, n);
#endif
}
