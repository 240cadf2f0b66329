/* Squared differences. */
#include "operands.h"

#define SHIFT 7

#if !EDGESLM_MVE
static inline int8_t square(int32_t value, edgeslm_short way) {
  return edgeslm_saturated(edgeslm_high_sum(value * value * 2, way.mantissa, way.add) >> way.right);
}
#endif

/* y = (x - a number)²: x by its own factor, unless that is 1/2. */
static inline void to_number(int8_t *y, const int8_t *x, int32_t zero, int is_half, edgeslm_short own, int32_t number,
                      const edgeslm_pair_plan *plan) {
  uint32_t n = plan->shape->extents[2];
  edgeslm_short way = plan->way;
#if EDGESLM_MVE
  for (uint32_t at = 0; at < n; at += 8u) {
    mve_pred16_t some = vctp16q(n - at);
    edgeslm_eight eight = edgeslm_load_eight(x + at, some);
    eight.even = vaddq_n_s32(eight.even, -zero);
    eight.odd = vaddq_n_s32(eight.odd, -zero);
    if (is_half) {
      eight.even = vshlq_n_s32(eight.even, SHIFT - 1);
      eight.odd = vshlq_n_s32(eight.odd, SHIFT - 1);
    } else {
      eight.even = edgeslm_shortly_four(vshlq_n_s32(eight.even, SHIFT), own);
      eight.odd = edgeslm_shortly_four(vshlq_n_s32(eight.odd, SHIFT), own);
    }
    eight.even = vaddq_n_s32(eight.even, -number);
    eight.odd = vaddq_n_s32(eight.odd, -number);
    eight.even = vmulq_s32(eight.even, eight.even);
    eight.odd = vmulq_s32(eight.odd, eight.odd);
    edgeslm_store_eight(y + at, eight, way, some);
  }
#else
  if (is_half) {
    number += zero * (1 << (SHIFT - 1));
    while (n--) *y++ = square(*x++ * (1 << (SHIFT - 1)) - number, way);
  } else {
    while (n--) *y++ = square(edgeslm_shortly((*x++ - zero) * (2 << SHIFT), own) - number, way);
  }
#endif
}

#define FORMS EDGESLM_NET_SQUARED_DIFFERENCE_FORMS
#define NUMBERS_B (EDGESLM_FORM_NUMBER_B | EDGESLM_FORM_OWN_A)
#define NUMBERS_A (EDGESLM_FORM_NUMBER_A | EDGESLM_FORM_OWN_B)

static void square_row(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_plan *plan) {
  const edgeslm_pair_shape *shape = plan->shape;
  int32_t a_zero = shape->a_zero, b_zero = shape->b_zero;
  uint32_t form = shape->form & FORMS;
  if (form & (NUMBERS_A | NUMBERS_B)) {
    /* the square of the difference does not tell which is the number */
    edgeslm_short own = plan->first;
    edgeslm_multiplier by = shape->second;
    if (form & NUMBERS_A) {
      const int8_t *other = a;
      int32_t zero = a_zero;
      a = b, b = other;
      a_zero = b_zero, b_zero = zero;
      own = plan->second;
      by = shape->first;
    }
    int is_half = (form & (EDGESLM_FORM_NUMBER_A | EDGESLM_FORM_NUMBER_B)) != 0;
    to_number(y, a, a_zero, is_half, own, edgeslm_brought(*b, b_zero, SHIFT, by), plan);
  } else if (FORMS & EDGESLM_FORM_ANY) {
    for (uint32_t i = 0; i < shape->extents[2]; i++, a += shape->a[2], b += shape->b[2]) {
      int32_t difference = edgeslm_brought(*a, a_zero, shape->shift, shape->first) -
                           edgeslm_brought(*b, b_zero, shape->shift, shape->second);
      y[i] = edgeslm_saturated(edgeslm_scaled(difference * difference, shape->result) + shape->out.zero_point);
    }
  }
}

void edgeslm_squared_difference_s8(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_shape *shape) {
  edgeslm_each_row(y, a, b, shape, square_row);
}
