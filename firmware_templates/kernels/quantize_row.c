/* Activations to int8 with one scale, as the matrix kernels read them. */
#include "fixed.h"
#include "kernel_cores.h"
#include "real.h"

#if EDGESLM_FIXED

/* scale = greatest / 127 as float bits, rounded down; returns a factor so that value = x * factor / 2^(48 - zeros). */
static uint32_t scale_of(uint32_t greatest, uint32_t *scale) {
  uint32_t zeros = edgeslm_zeros(greatest);
  uint32_t mantissa = (greatest << zeros) / 127u;
  int32_t exponent = -16 - (int32_t)zeros;
  while (mantissa >> 24) {
    mantissa >>= 1;
    exponent++;
  }
  *scale = (mantissa & 0x7fffffu) | (uint32_t)(exponent + 150) << 23;
  return UINT32_MAX / (greatest << zeros >> 16) * 127u;
}

#endif

#define SATURATED_STEP (EDGESLM_MVE ? 8u : 4u) /* columns that edgeslm_saturate_row takes at a time */

/* The greatest magnitude: for floats, twice its bits, which are in the same order. */
static inline uint32_t greatest_of(const edgeslm_real *x, uint32_t columns) {
#if EDGESLM_ASM_QUANTIZE
  return edgeslm_greatest(x, columns);
#else
  uint32_t greatest = 0;
  for (uint32_t i = 0; i < columns; i++) {
#if EDGESLM_FIXED
    uint32_t magnitude = edgeslm_magnitude(x[i]);
#else
    uint32_t magnitude = edgeslm_bits(x[i]) << 1;
#endif
    if (magnitude > greatest) greatest = magnitude;
  }
  return greatest;
#endif
}

/* Both kinds: with the greatest magnitude of the row itself, or with one that is known before, which this row may
 * exceed (`beyond`): what does is -128 or 127. */
static inline __attribute__((always_inline)) void quantize(edgeslm_quantized *q, const edgeslm_real *x,
                                                           uint32_t columns, uint32_t group, uint32_t greatest,
                                                           int beyond) {
  edgeslm_activation *values = q->values;
  int32_t sum = 0;
  q->scale = 0;
#if EDGESLM_FIXED
  uint32_t factor = 0, shift = 1;
  if (greatest) {
    factor = scale_of(greatest, &q->scale);
    shift = 48u - edgeslm_zeros(greatest);
  }
  for (uint32_t i = 0; i < columns; i++) {
    int64_t whole = edgeslm_shift((int64_t)x[i] * factor, shift);
    int32_t value = beyond && whole > 127 ? 127 : beyond && whole < -128 ? -128 : (int32_t)whole;
#else
  float factor = 0.0f;
  if (greatest > 2u * 0x0d800000u) { /* 2^-100 */
    float limit = edgeslm_float(greatest >> 1);
    q->scale = limit / 127.0f;
    factor = 127.0f / limit;
  }
  uint32_t done = 0;
#if EDGESLM_ASM_QUANTIZE
  done = beyond ? columns / SATURATED_STEP * SATURATED_STEP : EDGESLM_FOURS_OF(columns);
  if (done) sum = (beyond ? edgeslm_saturate_row : edgeslm_quantize_fours)(values, x, done, factor);
#endif
  for (uint32_t i = done; i < columns; i++) {
    float scaled = x[i] * factor;
    if (beyond) scaled = scaled > 127.0f ? 127.0f : scaled < -128.0f ? -128.0f : scaled;
    /* the sum with 1.5 * 2^23 rounds half to even, and its low bits are the integer */
    int32_t value = (int16_t)edgeslm_bits(scaled + 12582912.0f);
#endif
    values[i] = (edgeslm_activation)value;
    sum += value;
  }
  q->sum = sum;
  /* padding, and sums of groups */
  if (!EDGESLM_INT4) group = 0;
  if (EDGESLM_FOURS && EDGESLM_COLUMNS_STEP == 4u && !group) return;
  uint32_t padded = group ? EDGESLM_GROUPS(columns, group) * group : EDGESLM_PADDED(columns);
  for (uint32_t i = columns; i < padded; i++) values[i] = 0;
  if (group) {
    int32_t *sums = (int32_t *)(void *)(values + padded);
    for (uint32_t start = 0; start < padded; start += group) {
      int32_t total = 0;
      for (uint32_t i = 0; i < group; i++) total += values[start + i];
      *sums++ = total;
    }
  }
}

void edgeslm_quantize_row(edgeslm_quantized *q, const edgeslm_real *x, uint32_t columns, uint32_t group) {
  quantize(q, x, columns, group, greatest_of(x, columns), 0);
}

void edgeslm_quantize_static(edgeslm_quantized *q, const edgeslm_real *x, edgeslm_real limit, uint32_t columns,
                             uint32_t group) {
#if EDGESLM_FIXED
  quantize(q, x, columns, group, (uint32_t)limit, 1);
#else
  quantize(q, x, columns, group, edgeslm_bits(limit) << 1, 1);
#endif
}
