/* RMSNorm (Zhang and Sennrich, 2019) and LayerNorm (Ba, Kiros and Hinton, 2016). */
#include "fixed.h"
#include "kernel_cores.h"
#include "real.h"

#if !EDGESLM_FIXED

void edgeslm_rmsnorm(float *y, const float *x, const float *weight, uint32_t n, float epsilon) {
  float factor = edgeslm_rsqrt(edgeslm_dot(x, x, n) / (float)n + epsilon);
  uint32_t done = 0;
#if EDGESLM_ASM_ROWS
  done = EDGESLM_FOURS_OF(n);
  if (EDGESLM_FOURS || done) edgeslm_normalize_fours(y, x, weight, factor, done);
#endif
  for (uint32_t i = done; i < n; i++) y[i] = x[i] * factor * weight[i];
}

void edgeslm_layernorm(float *y, const float *x, const float *weight, const float *bias, uint32_t n, float epsilon) {
  float total, squares;
  EDGESLM_SUM(total, n, x[i]);
  float mean = total / (float)n;
  EDGESLM_SUM(squares, n, (x[i] - mean) * (x[i] - mean));
  float factor = edgeslm_rsqrt(squares / (float)n + epsilon);
  for (uint32_t i = 0; i < n; i++) {
    float value = (x[i] - mean) * factor * weight[i];
    y[i] = bias ? value + bias[i] : value;
  }
}

void edgeslm_unit_norm(float *x, uint32_t n, float least) {
  float square = edgeslm_dot(x, x, n);
  edgeslm_scale(x, square > least * least ? edgeslm_rsqrt(square) : 1.0f / least, n);
}

#else

/* What makes x - mean a row of variance 1: (x - mean) * factor / 2^shift has 16 fractional bits. */
static uint32_t normalizer(const int32_t *x, int32_t mean, uint32_t n, uint32_t epsilon, uint32_t *shift) {
  uint32_t greatest = 0;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t magnitude = edgeslm_magnitude(edgeslm_saturate((int64_t)x[i] - mean));
    if (magnitude > greatest) greatest = magnitude;
  }
  /* 26 bits are kept, so that 4096 squares fit */
  uint32_t zeros = edgeslm_zeros(greatest), dropped = zeros < 6u ? 6u - zeros : 0u;
  uint64_t squares = 0;
  for (uint32_t i = 0; i < n; i++) {
    int32_t value = edgeslm_saturate((int64_t)x[i] - mean) / (int32_t)(1u << dropped);
    squares += (uint64_t)((int64_t)value * value);
  }
  uint64_t variance = edgeslm_divide(squares, n) + (epsilon >> (2u * dropped));
  int32_t exponent;
  uint32_t factor = edgeslm_rsqrt_fixed(variance ? variance : 1u, &exponent);
  *shift = (uint32_t)(14 + (int32_t)dropped - exponent);
  return factor;
}

void edgeslm_rmsnorm(int32_t *y, const int32_t *x, const int32_t *weight, uint32_t n, uint32_t epsilon) {
  uint32_t shift, factor = normalizer(x, 0, n, epsilon, &shift);
  for (uint32_t i = 0; i < n; i++)
    y[i] = edgeslm_times(edgeslm_times(x[i], (int32_t)factor, shift), weight[i], 16u);
}

void edgeslm_layernorm(int32_t *y, const int32_t *x, const int32_t *weight, const int32_t *bias, uint32_t n,
                       uint32_t epsilon) {
  int64_t total = 0;
  for (uint32_t i = 0; i < n; i++) total += x[i];
  uint64_t quotient = edgeslm_divide((uint64_t)(total < 0 ? -total : total), n);
  int32_t mean = total < 0 ? -(int32_t)quotient : edgeslm_saturate((int64_t)quotient);
  uint32_t shift, factor = normalizer(x, mean, n, epsilon, &shift);
  for (uint32_t i = 0; i < n; i++) {
    int32_t value = edgeslm_times(edgeslm_saturate((int64_t)x[i] - mean), (int32_t)factor, shift);
    value = edgeslm_times(value, weight[i], 16u);
    y[i] = bias ? edgeslm_saturate((int64_t)value + bias[i]) : value;
  }
}

/* `least` is far below what a fixed-point number can tell from zero. */
void edgeslm_unit_norm(int32_t *x, uint32_t n, uint32_t least) {
  (void)least;
  uint32_t greatest = 0;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t magnitude = edgeslm_magnitude(x[i]);
    if (magnitude > greatest) greatest = magnitude;
  }
  if (greatest == 0) return;
  /* all are moved up, or down, until the greatest has 26 bits: 4096 squares fit */
  uint32_t zeros = edgeslm_zeros(greatest), up = zeros > 6u ? zeros - 6u : 0u, down = zeros < 6u ? 6u - zeros : 0u;
  uint64_t squares = 0;
  for (uint32_t i = 0; i < n; i++) {
    x[i] = x[i] / (int32_t)(1u << down) * (int32_t)(1u << up);
    squares += (uint64_t)((int64_t)x[i] * x[i]);
  }
  int32_t exponent;
  uint32_t factor = edgeslm_rsqrt_fixed(squares, &exponent); /* 30 - exponent fractional bits; 16 are to be left */
  for (uint32_t i = 0; i < n; i++) x[i] = edgeslm_times(x[i], (int32_t)factor, (uint32_t)(14 - exponent));
}

#endif
