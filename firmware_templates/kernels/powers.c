/* exp of negative numbers in fixed point: edgeslm/ir/fixed_point.py has the same, and says how. */
#include "powers.h"

#define QUARTER (1 << 24) /* of 1, with 26 fractional bits */
#define LEAST_COUNTED (1 << 11)

/* a * b / 2^31, halves up. */
static int32_t high(int32_t a, int32_t b) { return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31); }

/* x / 2^bits, halves away from zero. */
static int32_t rounded(int32_t x, uint32_t bits) { return (x - (x < 0) + (1 << (bits - 1u))) >> bits; }

/* exp(-x), x with 26 fractional bits: of a part in (0, 1/4] by a series about 1/8, times one factor for each other bit. */
static int32_t exp_of(uint32_t x) {
  /* exp of -1/4, -1/2, -1, -2, -4, -8, -16, with 31 fractional bits */
  static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  int32_t rest = (int32_t)((0u - x) & (QUARTER - 1u)) - QUARTER;
  int32_t y = rest * 32 + (1 << 28), square = high(y, y), cube = high(square, y), fourth = high(square, square);
  int32_t tail = rounded(high(rounded(fourth, 2) + cube, 715827883) + square, 1);
  int32_t result = 1895147668 + high(1895147668, y + tail);
  uint32_t left = x + (uint32_t)rest;
  for (uint32_t i = 0; i < 7u; i++)
    if (left & (uint32_t)QUARTER << i) result = high(result, factors[i]);
  return result;
}

void edgeslm_powers(int32_t *powers, int32_t mantissa, uint32_t shift, uint32_t end, uint32_t length) {
  for (uint32_t i = 0; i < length; i++) {
    int32_t below = i <= end ? high(-(int32_t)(i << shift), mantissa) : 0, power = INT32_MAX;
    if (below) power = exp_of((uint32_t)-below);
    powers[i] = i <= end && power >= LEAST_COUNTED ? power : 0;
  }
}
