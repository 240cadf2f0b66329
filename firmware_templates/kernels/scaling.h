/* Products with an edgeslm_multiplier. Not for other files. */
#ifndef EDGESLM_SCALING_H
#define EDGESLM_SCALING_H

#include "edgeslm_integers.h"
#include "vectors.h"

/* a * b / 2^31, halves up. */
static inline int32_t edgeslm_high_product(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* x / 2^right, halves away from zero. */
static inline int32_t edgeslm_shifted_right(int32_t x, uint32_t right) {
  int32_t mask = (int32_t)((1u << right) - 1u);
  return (x >> right) + ((x & mask) > (mask >> 1) + (x < 0));
}

static inline int32_t edgeslm_scaled(int32_t x, edgeslm_multiplier by) {
  uint32_t left = by.shift > 0 ? (uint32_t)by.shift : 0u, right = by.shift < 0 ? (uint32_t)-by.shift : 0u;
  return edgeslm_shifted_right(edgeslm_high_product((int32_t)((uint32_t)x << left), by.mantissa), right);
}

static inline int8_t edgeslm_within(int32_t value, const edgeslm_integers *out) {
  value += out->zero_point;
  return (int8_t)(value < out->low ? out->low : value > out->high ? out->high : value);
}

/* ---- The short way -------------------------------------------------------------------------------------------------
 * Of twice a sum: its product with the mantissa is a high word, rounded. What the second rounding adds (and one less for
 * a negative number, as halves are rounded away from zero) and the zero point are added to that word before the shift.
 * Where the high word of a negative number is 0, one less than half is still rounded to 0. */
typedef struct {
  int32_t add, mantissa, zero;
  uint32_t right; /* 1 … 22: the zero point has its place above */
} edgeslm_short;

static inline int edgeslm_is_short(edgeslm_multiplier by) { return by.shift < 0 && by.shift >= -22; }

static inline edgeslm_short edgeslm_shorten(edgeslm_multiplier by, int32_t zero_point) {
  edgeslm_short way = {0, by.mantissa, zero_point, (uint32_t)-by.shift};
  way.add = (1 << (way.right - 1u)) + zero_point * (1 << way.right);
  return way;
}

/* The high word of a * b, rounded, + sum. */
static inline int32_t edgeslm_high_sum(int32_t a, int32_t b, int32_t sum) {
#if EDGESLM_DSP
  __asm__("smmlar %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
  return sum;
#else
  return (int32_t)((uint32_t)sum + (uint32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32));
#endif
}

static inline int32_t edgeslm_shortly(int32_t twice, edgeslm_short way) {
  return edgeslm_high_sum(twice, way.mantissa, way.add + (twice >> 31)) >> way.right;
}

static inline int8_t edgeslm_saturated(int32_t value) {
#if EDGESLM_DSP
  __asm__("ssat %0, #8, %0" : "+r"(value));
  return (int8_t)value;
#else
  return (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
#endif
}

#if EDGESLM_MVE
/* Four numbers (not twice) the same way, but for the zero point. */
static inline int32x4_t edgeslm_shortly_four(int32x4_t once, edgeslm_short way) {
  int32x4_t high = vaddq_s32(vqrdmulhq_n_s32(once, way.mantissa), vshrq_n_s32(once, 31));
  return vrshlq_n_s32(high, -(int32_t)way.right);
}

/* Eight int8 of which some are: those at even and at odd places. */
typedef struct {
  int32x4_t even, odd;
} edgeslm_eight;

static inline edgeslm_eight edgeslm_load_eight(const int8_t *x, mve_pred16_t some) {
  int16x8_t eight = vldrbq_z_s16(x, some);
  return (edgeslm_eight){vmovlbq_s16(eight), vmovltq_s16(eight)};
}

/* y = eight sums (not twice) the short way. */
static inline void edgeslm_store_eight(int8_t *y, edgeslm_eight sums, edgeslm_short way, mve_pred16_t some) {
  int32x4_t even = edgeslm_shortly_four(sums.even, way);
  int16x8_t eight = vqmovnbq_s32((int16x8_t)even, even);
  eight = vqmovntq_s32(eight, edgeslm_shortly_four(sums.odd, way));
  eight = vqaddq_n_s16(eight, (int16_t)way.zero);
  vstrbq_p_s16(y, (int16x8_t)vqmovnbq_s16((int8x16_t)eight, eight), some);
}
#endif

#endif
