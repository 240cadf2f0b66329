/* Fixed-point arithmetic for cores without an FPU. An edgeslm_real has 16 fractional bits. Not for other files. */
#ifndef EDGESLM_FIXED_H
#define EDGESLM_FIXED_H

#include "edgeslm_kernels.h"

#if EDGESLM_FIXED

static inline int32_t edgeslm_saturate(int64_t value) {
  return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (int32_t)value;
}

/* value / 2^shift, rounded half up; 1 ≤ shift. */
static inline int64_t edgeslm_shift(int64_t value, uint32_t shift) {
  return shift > 62u ? 0 : (value + ((int64_t)1 << (shift - 1u))) >> shift;
}

/* a * b, where b has `shift` fractional bits. */
static inline int32_t edgeslm_times(int32_t a, int32_t b, uint32_t shift) {
  return edgeslm_saturate(edgeslm_shift((int64_t)a * b, shift));
}

static inline uint32_t edgeslm_magnitude(int32_t value) {
  return value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
}

/* Zeros in front; 32 for 0. */
static inline uint32_t edgeslm_zeros(uint32_t value) { return value ? (uint32_t)__builtin_clz(value) : 32u; }

/* A float's bits as mantissa * 2^exponent; for floats ≥ 0. */
typedef struct {
  uint32_t mantissa; /* 2^23 … 2^24 - 1, or 0 */
  int32_t exponent;
} edgeslm_scaled;

static inline edgeslm_scaled edgeslm_unpack_float(uint32_t bits) {
  edgeslm_scaled scaled = {0u, 0};
  if (bits >> 23) {
    scaled.mantissa = (bits & 0x7fffffu) | 0x800000u;
    scaled.exponent = (int32_t)(bits >> 23) - 150;
  }
  return scaled;
}

/* A half float ≥ 0 in units of 2^-24: mantissa * 2^exponent. */
static inline edgeslm_scaled edgeslm_unpack_half(uint16_t half) {
  edgeslm_scaled scaled = {half & 0x3ffu, 0};
  if (half >> 10) {
    scaled.mantissa += 0x400u;
    scaled.exponent = (int32_t)(half >> 10) - 1;
  }
  return scaled;
}

/* numerator / denominator, by the school method: a call of the compiler's library would take more flash. */
uint64_t edgeslm_divide(uint64_t numerator, uint32_t denominator);

/* 1 / sqrt(value) = result * 2^*exponent, result with 30 fractional bits in 0.5 … 1. value > 0. */
uint32_t edgeslm_rsqrt_fixed(uint64_t value, int32_t *exponent);

/* 2^t for t ≤ 0 (16 fractional bits); 30 fractional bits. */
uint32_t edgeslm_exp2_fixed(int32_t t);

/* 1 / (1 + e^-x); 16 fractional bits. */
int32_t edgeslm_logistic_fixed(int32_t x);

#endif
#endif
