/* Kernels that look at one element at a time. */
#include "fixed.h"
#include "kernel_cores.h"
#include "rescale.h"

void edgeslm_add(edgeslm_real *y, const edgeslm_real *x, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) y[i] = edgeslm_sum(y[i], x[i]);
}

void edgeslm_scale(edgeslm_real *x, edgeslm_real factor, uint32_t n) {
#if EDGESLM_FIXED
  for (uint32_t i = 0; i < n; i++) x[i] = edgeslm_times(x[i], factor, 16u);
#else
  uint32_t done = 0;
#if EDGESLM_ASM_ROWS
  done = EDGESLM_FOURS_OF(n);
  if (EDGESLM_FOURS || done) edgeslm_scale_fours(x, factor, done);
#endif
  for (uint32_t i = done; i < n; i++) x[i] = x[i] * factor;
#endif
}

void edgeslm_relu(edgeslm_real *x, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (x[i] < 0) x[i] = 0;
}

uint32_t edgeslm_argmax(const edgeslm_real *x, uint32_t n) {
#if EDGESLM_ASM_ARGMAX
  if (EDGESLM_FOURS || n % 4u == 0) return edgeslm_argmax_fours(x, n);
#endif
  uint32_t place = 0;
  edgeslm_real greatest = x[0];
  for (uint32_t i = 1; i < n; i++) {
    if (x[i] > greatest) {
      greatest = x[i];
      place = i;
    }
  }
  return place;
}
