/* Products, element by element. */
#include "operands.h"

static void dense(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_plan *plan) {
  uint32_t n = plan->shape->extents[2];
  int32_t a_zero = plan->shape->a_zero, b_zero = plan->shape->b_zero;
  edgeslm_short way = plan->way;
#if EDGESLM_MVE
  for (uint32_t at = 0; at < n; at += 8u) {
    mve_pred16_t some = vctp16q(n - at);
    int16x8_t first = vaddq_n_s16(vldrbq_z_s16(a + at, some), (int16_t)-a_zero);
    int16x8_t second = vaddq_n_s16(vldrbq_z_s16(b + at, some), (int16_t)-b_zero);
    edgeslm_eight products = {vmullbq_int_s16(first, second), vmulltq_int_s16(first, second)};
    edgeslm_store_eight(y + at, products, way, some);
  }
#else
  a_zero *= 2;
  while (n--) *y++ = edgeslm_saturated(edgeslm_shortly((*a++ * 2 - a_zero) * (*b++ - b_zero), way));
#endif
}

static void product_row(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_plan *plan) {
  const edgeslm_pair_shape *shape = plan->shape;
  int32_t a_zero = shape->a_zero, b_zero = shape->b_zero;
  uint32_t form = shape->form & EDGESLM_NET_MUL_FORMS;
  if (form & EDGESLM_FORM_NUMBER_B) {
    int32_t factor = (*b - b_zero) * 2;
    edgeslm_line_s8(y, a, factor, -factor * a_zero, plan);
  } else if (form & EDGESLM_FORM_NUMBER_A) {
    int32_t factor = (*a - a_zero) * 2;
    edgeslm_line_s8(y, b, factor, -factor * b_zero, plan);
  } else if (form & EDGESLM_FORM_DENSE_A) {
    dense(y, a, b, plan);
  } else if (EDGESLM_NET_MUL_FORMS & EDGESLM_FORM_ANY) {
    for (uint32_t i = 0; i < shape->extents[2]; i++, a += shape->a[2], b += shape->b[2]) {
      int32_t product = (*a - a_zero) * (*b - b_zero);
      y[i] = edgeslm_saturated(edgeslm_scaled(product, shape->result) + shape->out.zero_point);
    }
  }
}

void edgeslm_mul_s8(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_shape *shape) {
  edgeslm_each_row(y, a, b, shape, product_row);
}
