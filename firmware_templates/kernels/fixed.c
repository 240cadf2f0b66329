/* Functions of fixed-point numbers. */
#include "fixed.h"

#if EDGESLM_FIXED

uint64_t edgeslm_divide(uint64_t numerator, uint32_t denominator) {
  uint64_t quotient = 0, rest = 0;
  for (int bit = 63; bit >= 0; bit--) {
    rest = rest << 1 | (numerator >> bit & 1u);
    quotient <<= 1;
    if (rest >= denominator) {
      rest -= denominator;
      quotient |= 1u;
    }
  }
  return quotient;
}

uint32_t edgeslm_rsqrt_fixed(uint64_t value, int32_t *exponent) {
  uint32_t high = (uint32_t)(value >> 32);
  uint32_t zeros = (high ? edgeslm_zeros(high) : 32u + edgeslm_zeros((uint32_t)value)) & ~1u;
  uint32_t f = (uint32_t)(value << zeros >> 32); /* 0.25 … 1, 32 fractional bits */
  /* y = 0.5 / sqrt(f): a straight line, then five steps of Newton's method, y (1.5 - 2 f y²) */
  uint32_t y = 1181116006u - (uint32_t)((uint64_t)f * 676457349u >> 32);
  for (int step = 0; step < 5; step++) {
    uint32_t square = (uint32_t)((uint64_t)y * y >> 30);
    uint32_t less = (uint32_t)((uint64_t)f * square >> 31);
    y = (uint32_t)((uint64_t)y * (1610612736u - less) >> 30);
  }
  *exponent = (int32_t)(zeros / 2u) - 31;
  return y;
}

uint32_t edgeslm_exp2_fixed(int32_t t) {
  int32_t whole = t / 65536;
  if (t < whole * 65536) whole--; /* rounded down */
  if (whole < -30) return 0;
  int64_t f = (int64_t)(t - whole * 65536) * 16384; /* 30 fractional bits */
  int64_t p = (f * 1923030 >> 30) + 9872205;
  p = (f * p >> 30) + 59764778;
  p = (f * p >> 30) + 257919818;
  p = (f * p >> 30) + 744261555;
  p = (f * p >> 30) + 1073741824;
  return (uint32_t)(p >> -whole);
}

int32_t edgeslm_logistic_fixed(int32_t x) {
  int32_t magnitude = x == INT32_MIN ? INT32_MAX : x < 0 ? -x : x;
  uint32_t e = edgeslm_exp2_fixed(edgeslm_times(magnitude, -94548, 16u)); /* log2(e) */
  int32_t part = (int32_t)(UINT32_MAX / ((0x40000000u + e) >> 14));
  return x < 0 ? 65536 - part : part;
}

#else
typedef int edgeslm_no_fixed;
#endif
