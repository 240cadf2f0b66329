/* What kernels of two operands share. */
#include "operands.h"

static void clamp(int8_t *y, uint32_t n, const edgeslm_integers *out) {
  for (uint32_t i = 0; i < n; i++) y[i] = (int8_t)(y[i] < out->low ? out->low : y[i] > out->high ? out->high : y[i]);
}

void edgeslm_each_row(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_shape *shape,
                      edgeslm_row_maker *make) {
  edgeslm_pair_plan plan = {.shape = shape};
  if (edgeslm_is_short(shape->result)) plan.way = edgeslm_shorten(shape->result, shape->out.zero_point);
  if (edgeslm_is_short(shape->first)) plan.first = edgeslm_shorten(shape->first, 0);
  if (edgeslm_is_short(shape->second)) plan.second = edgeslm_shorten(shape->second, 0);
  int is_cut = shape->out.low > -128 || shape->out.high < 127;
  for (uint32_t i = 0; i < shape->extents[0]; i++, a += shape->a[0], b += shape->b[0]) {
    const int8_t *a_row = a, *b_row = b;
    for (uint32_t j = 0; j < shape->extents[1]; j++, a_row += shape->a[1], b_row += shape->b[1]) {
      make(y, a_row, b_row, &plan);
      if (is_cut) clamp(y, shape->extents[2], &shape->out);
      y += shape->extents[2];
    }
  }
}

void edgeslm_line_s8(int8_t *y, const int8_t *x, int32_t factor, int32_t offset, const edgeslm_pair_plan *plan) {
  uint32_t n = plan->shape->extents[2];
  edgeslm_short way = plan->way;
#if EDGESLM_MVE
  int32x4_t factors = vdupq_n_s32(factor >> 1); /* once, not twice: both are even */
  offset >>= 1;
  for (uint32_t at = 0; at < n; at += 8u) {
    mve_pred16_t some = vctp16q(n - at);
    edgeslm_eight eight = edgeslm_load_eight(x + at, some);
    eight.even = vmlasq_n_s32(eight.even, factors, offset);
    eight.odd = vmlasq_n_s32(eight.odd, factors, offset);
    edgeslm_store_eight(y + at, eight, way, some);
  }
#else
  while (n--) *y++ = edgeslm_saturated(edgeslm_shortly(*x++ * factor + offset, way));
#endif
}
