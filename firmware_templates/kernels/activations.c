/* SiLU (Elfwing et al., 2017), GELU (Hendrycks and Gimpel, 2016) and tanh. */
#include "fixed.h"
#include "kernel_cores.h"
#include "real.h"

#if EDGESLM_FIXED

static int32_t silu(int32_t x) { return edgeslm_times(x, edgeslm_logistic_fixed(x), 16u); }

/* 0.5 x (1 + tanh(z)) is x times the logistic of 2 z; 2 z = x (1.5957691 + 0.0713548 x²). */
static int32_t gelu_tanh(int32_t x) {
  int32_t inner = edgeslm_saturate(104580 + (int64_t)edgeslm_times(edgeslm_times(x, x, 16u), 4676, 16u));
  return edgeslm_times(x, edgeslm_logistic_fixed(edgeslm_times(x, inner, 16u)), 16u);
}

static int32_t gelu_erf(int32_t x) {
  /* 1 - erf(z) by formula 7.1.26 of Abramowitz and Stegun, z = |x| / sqrt(2) */
  int32_t magnitude = x == INT32_MIN ? INT32_MAX : x < 0 ? -x : x;
  int32_t t = (int32_t)(UINT32_MAX / (65536u + (uint32_t)edgeslm_times(magnitude, 15181, 16u)));
  int32_t p = edgeslm_times(t, 69563, 16u) - 95231;
  p = edgeslm_times(t, p, 16u) + 93154;
  p = edgeslm_times(t, p, 16u) - 18644;
  p = edgeslm_times(t, p, 16u) + 16700;
  p = edgeslm_times(t, p, 16u);
  int32_t square = edgeslm_times(magnitude, magnitude, 16u);
  int32_t rest = edgeslm_times(p, (int32_t)edgeslm_exp2_fixed(edgeslm_times(square, -47274, 16u)), 31u);
  return edgeslm_times(x, x < 0 ? rest : 65536 - rest, 16u);
}

static int32_t tanh_of(int32_t x) { return 2 * edgeslm_logistic_fixed(edgeslm_saturate(2 * (int64_t)x)) - 65536; }

static int32_t multiply(int32_t a, int32_t b) { return edgeslm_times(a, b, 16u); }

#else

static float silu(float x) { return edgeslm_silu_of(x); }

/* 0.5 x (1 + tanh(z)) is x times the logistic of 2 z; 2 z = x (1.5957691 + 0.0713548 x²). */
static float gelu_tanh(float x) {
  return x / (1.0f + edgeslm_exp2(x * (1.59576912f + 0.0713548163f * x * x) * -EDGESLM_LOG2_E));
}

static float gelu_erf(float x) {
  /* 1 - erf(z) by formula 7.1.26 of Abramowitz and Stegun, z = |x| / sqrt(2); error below 1.5e-7 */
  float z = (x < 0.0f ? -x : x) * 0.707106781f;
  float t = 1.0f / (1.0f + 0.3275911f * z);
  float p = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  float rest = 0.5f * p * edgeslm_exp2(z * z * -EDGESLM_LOG2_E);
  return x < 0.0f ? x * rest : x - x * rest;
}

static float tanh_of(float x) {
  float magnitude = x < 0.0f ? -x : x;
  float e = edgeslm_exp2(magnitude * (-2.0f * EDGESLM_LOG2_E));
  float result = (1.0f - e) / (1.0f + e);
  return x < 0.0f ? -result : result;
}

static float multiply(float a, float b) { return a * b; }

#endif

#if !EDGESLM_ASM_SILU
void edgeslm_silu_mul(edgeslm_real *y, const edgeslm_real *gate, const edgeslm_real *up, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) y[i] = multiply(silu(gate[i]), up[i]);
}
#endif

void edgeslm_gelu_tanh_mul(edgeslm_real *y, const edgeslm_real *gate, const edgeslm_real *up, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) y[i] = multiply(gelu_tanh(gate[i]), up[i]);
}

void edgeslm_mul(edgeslm_real *y, const edgeslm_real *x, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) y[i] = multiply(y[i], x[i]);
}

void edgeslm_silu(edgeslm_real *x, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) x[i] = silu(x[i]);
}

void edgeslm_gelu_tanh(edgeslm_real *x, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) x[i] = gelu_tanh(x[i]);
}

void edgeslm_gelu_erf(edgeslm_real *x, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) x[i] = gelu_erf(x[i]);
}

void edgeslm_tanh(edgeslm_real *x, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) x[i] = tanh_of(x[i]);
}

void edgeslm_soft_cap(edgeslm_real *x, edgeslm_real cap, uint32_t n) {
#if EDGESLM_FIXED
  /* 1 / cap with 30 fractional bits: caps are tens */
  uint64_t quotient = edgeslm_divide((uint64_t)1 << 46, (uint32_t)cap);
  int32_t inverse = edgeslm_saturate((int64_t)quotient);
  for (uint32_t i = 0; i < n; i++) x[i] = edgeslm_times(tanh_of(edgeslm_times(x[i], inverse, 30u)), cap, 16u);
#else
  float inverse = 1.0f / cap;
  for (uint32_t i = 0; i < n; i++) x[i] = tanh_of(x[i] * inverse) * cap;
#endif
}
