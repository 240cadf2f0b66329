/* Between floats and int8. */
#include "edgeslm_integers.h"

void edgeslm_to_s8(int8_t *y, const float *x, uint32_t n, float scale, int32_t zero) {
  for (uint32_t i = 0; i < n; i++) {
    float quotient = x[i] / scale;
    if (!(quotient > -1e6f)) quotient = -1e6f; /* nor what is no number */
    if (quotient > 1e6f) quotient = 1e6f;
    int32_t whole = (int32_t)quotient; /* towards zero; what is left is exact */
    float rest = quotient - (float)whole;
    int32_t value = whole + (rest >= 0.5f) - (rest <= -0.5f) + zero;
    y[i] = (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
  }
}

void edgeslm_from_s8(float *y, const int8_t *x, uint32_t n, float scale, int32_t zero) {
  for (uint32_t i = 0; i < n; i++) y[i] = (float)(x[i] - zero) * scale;
}
