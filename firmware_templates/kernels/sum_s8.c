/* Sums and differences. */
#include "integer_cores.h"
#include "operands.h"

#define SHIFT 20
#define HALVED (1 << SHIFT) /* twice what a factor of 1/2 makes of 1 */

/* y = (x by its own factor) * x_sign + (half by 1/2) * half_sign, both dense. */
static void two_scales(int8_t *y, const int8_t *x, const int8_t *half, uint32_t n, int32_t x_zero,
                              int32_t half_zero, edgeslm_short own, edgeslm_short way, int x_sign, int half_sign) {
#if EDGESLM_MVE
  int32_t x_offset = -x_zero * (1 << SHIFT), offset = -half_sign * half_zero * (HALVED / 2);
  int32x4_t factors = vdupq_n_s32(1 << SHIFT);
  for (uint32_t at = 0; at < n; at += 8u) {
    mve_pred16_t some = vctp16q(n - at);
    edgeslm_eight own_eight = edgeslm_load_eight(x + at, some);
    edgeslm_eight half_eight = edgeslm_load_eight(half + at, some);
    own_eight.even = edgeslm_shortly_four(vmlasq_n_s32(own_eight.even, factors, x_offset), own);
    own_eight.odd = edgeslm_shortly_four(vmlasq_n_s32(own_eight.odd, factors, x_offset), own);
    if (x_sign < 0) {
      own_eight.even = vnegq_s32(own_eight.even);
      own_eight.odd = vnegq_s32(own_eight.odd);
    }
    half_eight.even = vmlasq_n_s32(half_eight.even, vdupq_n_s32(half_sign * (HALVED / 2)), offset);
    half_eight.odd = vmlasq_n_s32(half_eight.odd, vdupq_n_s32(half_sign * (HALVED / 2)), offset);
    own_eight.even = vaddq_s32(own_eight.even, half_eight.even);
    own_eight.odd = vaddq_s32(own_eight.odd, half_eight.odd);
    edgeslm_store_eight(y + at, own_eight, way, some);
  }
#else
  int32_t x_offset = -x_zero * (2 << SHIFT), offset = -half_sign * half_zero * HALVED;
#if EDGESLM_DSP
  uint32_t fours = n & ~3u;
  edgeslm_two_scales scales = {
      2 << SHIFT,     x_offset, own.add, own.mantissa, own.right, half_sign * HALVED, offset, 2 * x_sign,
      way.add, way.mantissa, way.right, y + fours};
  if (fours) edgeslm_two_scales_fours(y, x, half, &scales);
  x += fours;
  half += fours;
  y += fours;
  n -= fours;
#endif
  while (n--) {
    int32_t twice = edgeslm_shortly(*x++ * (2 << SHIFT) + x_offset, own) * (2 * x_sign);
    *y++ = edgeslm_saturated(edgeslm_shortly(twice + *half++ * (half_sign * HALVED) + offset, way));
  }
#endif
}

/* The same, with one number for the other operand: twice what it brings. */
static void one_scale(int8_t *y, const int8_t *x, int32_t x_zero, int32_t twice, edgeslm_short own,
                      const edgeslm_pair_plan *plan) {
  uint32_t n = plan->shape->extents[2];
  edgeslm_short way = plan->way;
#if EDGESLM_MVE
  int32_t x_offset = -x_zero * (1 << SHIFT), other = twice >> 1;
  int32x4_t factors = vdupq_n_s32(1 << SHIFT);
  for (uint32_t at = 0; at < n; at += 8u) {
    mve_pred16_t some = vctp16q(n - at);
    edgeslm_eight eight = edgeslm_load_eight(x + at, some);
    eight.even = vaddq_n_s32(edgeslm_shortly_four(vmlasq_n_s32(eight.even, factors, x_offset), own), other);
    eight.odd = vaddq_n_s32(edgeslm_shortly_four(vmlasq_n_s32(eight.odd, factors, x_offset), own), other);
    edgeslm_store_eight(y + at, eight, way, some);
  }
#else
  int32_t x_offset = -x_zero * (2 << SHIFT);
  while (n--) {
    *y++ = edgeslm_saturated(
        edgeslm_shortly(edgeslm_shortly(*x++ * (2 << SHIFT) + x_offset, own) * 2 + twice, way));
  }
#endif
}

/* `forms`: those that occur. */
static inline void sum_row(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_plan *plan, int sign,
                           uint32_t forms) {
  const edgeslm_pair_shape *shape = plan->shape;
  uint32_t n = shape->extents[2], form = shape->form & forms;
  int32_t a_zero = shape->a_zero, b_zero = shape->b_zero;
  if (form & (EDGESLM_FORM_NUMBER_B | EDGESLM_FORM_OWN_A)) {
    int32_t twice = edgeslm_brought(*b, b_zero, SHIFT, shape->second) * 2 * sign;
    if (form & EDGESLM_FORM_NUMBER_B) {
      edgeslm_line_s8(y, a, HALVED, twice - a_zero * HALVED, plan);
    } else {
      one_scale(y, a, a_zero, twice, plan->first, plan);
    }
  } else if (form & (EDGESLM_FORM_NUMBER_A | EDGESLM_FORM_OWN_B)) {
    int32_t twice = edgeslm_brought(*a, a_zero, SHIFT, shape->first) * 2;
    if (form & EDGESLM_FORM_NUMBER_A) {
      edgeslm_line_s8(y, b, sign * HALVED, twice - sign * b_zero * HALVED, plan);
    } else {
      one_scale(y, b, b_zero, twice, plan->second, plan);
    }
  } else if (form & EDGESLM_FORM_DENSE_A) {
    two_scales(y, a, b, n, a_zero, b_zero, plan->first, plan->way, 1, sign);
  } else if (form & EDGESLM_FORM_DENSE_B) {
    two_scales(y, b, a, n, b_zero, a_zero, plan->second, plan->way, sign, 1);
  } else if (forms & EDGESLM_FORM_ANY) {
    for (uint32_t i = 0; i < n; i++, a += shape->a[2], b += shape->b[2]) {
      int32_t left = edgeslm_brought(*a, a_zero, shape->shift, shape->first);
      int32_t right = edgeslm_brought(*b, b_zero, shape->shift, shape->second) * sign;
      y[i] = edgeslm_saturated(edgeslm_scaled(left + right, shape->result) + shape->out.zero_point);
    }
  }
}

static void add_row(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_plan *plan) {
  sum_row(y, a, b, plan, 1, EDGESLM_NET_ADD_FORMS);
}

static void sub_row(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_plan *plan) {
  sum_row(y, a, b, plan, -1, EDGESLM_NET_SUB_FORMS);
}

void edgeslm_add_s8(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_shape *shape) {
  edgeslm_each_row(y, a, b, shape, add_row);
}

void edgeslm_sub_s8(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_shape *shape) {
  edgeslm_each_row(y, a, b, shape, sub_row);
}
