/* Arithmetic the kernels share: bits of floats, sums in four lanes, powers of two, half floats. Not for other files. */
#ifndef EDGESLM_REAL_H
#define EDGESLM_REAL_H

#include "edgeslm_kernels.h"

/* ---- Bits -------------------------------------------------------------------------------------------------------- */

static inline uint32_t edgeslm_bits(float value) {
  union {
    float value;
    uint32_t bits;
  } both = {value};
  return both.bits;
}

static inline float edgeslm_float(uint32_t bits) {
  union {
    uint32_t bits;
    float value;
  } both = {bits};
  return both.value;
}

/* What half floats stand for, exactly. Infinities and NaNs never occur in scales and caches. */
static inline float edgeslm_from_half(uint16_t half) {
  uint32_t magnitude = half & 0x7fffu;
  float value;
  if (magnitude < 0x400u)
    value = (float)magnitude * 5.9604644775390625e-08f; /* 2^-24 */
  else
    value = edgeslm_float((magnitude << 13) + 0x38000000u);
  return half & 0x8000u ? -value : value;
}

/* Rounded half to even; beyond the range of half floats the greatest of them. */
static inline uint16_t edgeslm_to_half(float value) {
  uint32_t bits = edgeslm_bits(value), sign = bits >> 16 & 0x8000u;
  bits &= 0x7fffffffu;
  if (bits >= 0x477fe000u) return (uint16_t)(sign | 0x7bffu);
  if (bits < 0x38800000u) { /* subnormal: one unit is 2^-24, which the sum below rounds to */
    float shifted = edgeslm_float(bits) + 0.5f;
    return (uint16_t)(sign | (edgeslm_bits(shifted) - 0x3f000000u));
  }
  bits += 0xfffu + (bits >> 13 & 1u);
  return (uint16_t)(sign | (bits >= 0x477fe000u ? 0x7bffu : (bits - 0x38000000u) >> 13));
}

#if !EDGESLM_FIXED

/* ---- Sums in four lanes: `term` is an expression of i. Small code; edgeslm_dot is fast. ---------------------------- */

#define EDGESLM_SUM(total, n, term)                                        \
  do {                                                                     \
    float lanes[4] = {0.0f, 0.0f, 0.0f, 0.0f};                             \
    uint32_t i = 0;                                                        \
    for (; i < (n) && i < 4u; i++) lanes[i] = (term);                      \
    for (; i < (n); i++) lanes[i & 3u] += (term);                          \
    (total) = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);               \
  } while (0)

/* a (n) by b (n). */
float edgeslm_dot(const float *a, const float *b, uint32_t n);

/* ---- Functions ---------------------------------------------------------------------------------------------------- */

/* 2^(j / 32) as float bits, less j << 18: adding (32 * exponent + j) << 18 then scales by 2^exponent as well. */
extern const uint32_t edgeslm_exp2_table[32];

/* 2^t with a relative error of 2e-7, for |t| < 2^17. Beyond ±64 it is 2^±64, which is as good as 0 and infinity here
 * and keeps what follows clear of numbers too small for vector units. */
static inline float edgeslm_exp2(float t) {
  float rounded = t + 393216.0f; /* 1.5 * 2^18: the sum's last bit is 1/32 */
  float rest = t - (rounded - 393216.0f);
  int32_t steps = (int32_t)(edgeslm_bits(rounded) - 0x48c00000u);
  steps = steps < -2048 ? -2048 : steps > 2047 ? 2047 : steps;
  float power = edgeslm_float(edgeslm_exp2_table[steps & 31] + ((uint32_t)steps << 18));
  /* 1 + rest * (…), least squares of the error at the ends of ±1/64 */
  return power * ((rest * 0.24022651f + 0.69315734f) * rest + 1.0f);
}

#define EDGESLM_LOG2_E 1.44269504f

/* 1 / sqrt(x) for normal x > 0, by three steps of Newton's method: an error of 2e-7. */
static inline float edgeslm_rsqrt(float x) {
  float half = 0.5f * x;
  float y = edgeslm_float(0x5f3759dfu - (edgeslm_bits(x) >> 1));
  for (int step = 0; step < 3; step++) y = y * (1.5f - half * y * y);
  return y;
}

/* x / (1 + e^-x): x times its logistic. */
static inline float edgeslm_silu_of(float x) { return x / (1.0f + edgeslm_exp2(x * -EDGESLM_LOG2_E)); }

#endif
#endif
