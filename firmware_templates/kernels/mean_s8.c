/* Means. */
#include "scaling.h"
#include "vectors.h"

/* The sum of n numbers that lie together. */
static int32_t sum_of(const int8_t *x, uint32_t n) {
  int32_t sum = 0;
#if EDGESLM_MVE
  for (; n; n -= n < 16u ? n : 16u, x += 16) {
    mve_pred16_t some = vctp8q(n);
    sum = vaddvaq_p_s8(sum, vldrbq_z_s8(x, some), some);
  }
#else
#if EDGESLM_DSP
  for (; n >= 4u; n -= 4u, x += 4) {
    uint32_t four;
    __builtin_memcpy(&four, x, 4);
    sum = __smlad(__sxtb16((int8x4_t)four), 0x00010001, sum);
    sum = __smlad(__sxtb16((int8x4_t)(four >> 8 | four << 24)), 0x00010001, sum);
  }
#endif
  while (n--) sum += *x++;
#endif
  return sum;
}

void edgeslm_mean_s8(int8_t *y, const int8_t *x, uint32_t outer, uint32_t count, uint32_t inner, int32_t zero,
                     edgeslm_multiplier by, const edgeslm_integers *out) {
  for (; outer; outer--, x += count * inner) {
    for (uint32_t i = 0; i < inner; i++) {
      int32_t sum = 0;
      if (inner == 1u) {
        sum = sum_of(x, count);
      } else {
        for (uint32_t j = 0; j < count; j++) sum += x[j * inner + i];
      }
      *y++ = edgeslm_within(edgeslm_scaled(sum - (int32_t)count * zero, by), out);
    }
  }
}
