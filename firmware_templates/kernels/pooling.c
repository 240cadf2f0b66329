/* One row for a whole text. Sums go from the first token to the last, a column at a time. */
#include "fixed.h"
#include "real.h"

#if EDGESLM_FIXED

/* sum / divisor; both positive or the sum negative. */
static int32_t mean_of(int64_t sum, uint32_t divisor) {
  uint64_t quotient = edgeslm_divide((uint64_t)(sum < 0 ? -sum : sum) + divisor / 2u, divisor);
  int32_t mean = quotient > INT32_MAX ? INT32_MAX : (int32_t)quotient;
  return sum < 0 ? -mean : mean;
}

static int32_t pooled(const int32_t *x, uint32_t count, uint32_t n, uint32_t mode) {
  int64_t sum = 0;
  for (uint32_t t = 0; t < count; t++, x += n) sum += mode == EDGESLM_POOL_WEIGHTED ? (int64_t)*x * (t + 1u) : *x;
  if (mode == EDGESLM_POOL_MEAN) return mean_of(sum, count);
  if (mode == EDGESLM_POOL_WEIGHTED) return mean_of(sum, count * (count + 1u) / 2u);
  int32_t exponent;
  uint32_t inverse = edgeslm_rsqrt_fixed(count, &exponent); /* of sqrt(count), with 30 - exponent fractional bits */
  return edgeslm_saturate(edgeslm_shift(sum * (int64_t)(inverse >> 10), (uint32_t)(20 - exponent)));
}

#else

static float pooled(const float *x, uint32_t count, uint32_t n, uint32_t mode) {
  float sum = *x;
  for (uint32_t t = 1; t < count; t++) sum += mode == EDGESLM_POOL_WEIGHTED ? x[t * n] * (float)(t + 1u) : x[t * n];
  if (mode == EDGESLM_POOL_MEAN) return sum / (float)count;
  if (mode == EDGESLM_POOL_WEIGHTED) return sum / (float)(count * (count + 1u) / 2u);
  return sum * edgeslm_rsqrt((float)count);
}

#endif

static edgeslm_real greatest(const edgeslm_real *x, uint32_t count, uint32_t n) {
  edgeslm_real most = *x;
  for (uint32_t t = 1; t < count; t++)
    if (x[t * n] > most) most = x[t * n];
  return most;
}

void edgeslm_pool(edgeslm_real *y, const edgeslm_real *x, uint32_t count, uint32_t n, uint32_t mode) {
  for (uint32_t i = 0; i < n; i++) {
    if (mode == EDGESLM_POOL_LAST)
      y[i] = x[(count - 1u) * n + i];
    else if (mode == EDGESLM_POOL_MAX)
      y[i] = greatest(x + i, count, n);
    else
      y[i] = pooled(x + i, count, n, mode);
  }
}
