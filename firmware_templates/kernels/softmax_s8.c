/* Softmax of int8. Powers have 31 fractional bits, their sum 19, its inverse 31. */
#include "scaling.h"

/* 2^31 / (1 + x / 2^31): three steps of Newton's method from 48/17 - 32/17 d, d = (1 + x) / 2; two integer bits. */
static int32_t inverse_of_one_plus(int32_t x) {
  int32_t half = (int32_t)(((uint32_t)x + 0x80000000u) >> 1);
  int32_t guess = 1515870810 + edgeslm_high_product(half, -1010580540);
  for (int step = 0; step < 3; step++) {
    int32_t less = (1 << 29) - edgeslm_high_product(half, guess);
    guess += edgeslm_high_product(guess, less) * 4;
  }
  return guess >= 1 << 30 ? INT32_MAX : guess * 2;
}

/* How a power becomes a share: twice the inverse, less 2^32; and a right shift. */
typedef struct {
  int32_t inverse;
  uint32_t half, right;
} edgeslm_share;

static edgeslm_share share_of(uint32_t sum) {
  uint32_t zeros = (uint32_t)__builtin_clz(sum), right = 35u - zeros;
  edgeslm_share share = {0, 0, 31u};
  if (right < 32u) { /* else all round to 0 */
    uint32_t inverse = (uint32_t)inverse_of_one_plus((int32_t)((sum << zeros) - 0x80000000u));
    share = (edgeslm_share){(int32_t)(inverse << 1), 1u << (right - 1u), right};
  }
  return share;
}

#if EDGESLM_MVE

static void softmax_row(int8_t *y, const int8_t *x, uint32_t n, const int32_t *powers, uint32_t last) {
  int8_t greatest = -128;
  for (uint32_t i = 0; i < n; i += 16u) {
    mve_pred16_t some = vctp8q(n - i);
    greatest = vmaxvq_p_s8(greatest, vldrbq_z_s8(x + i, some), some);
  }
  int32x4_t most = vdupq_n_s32(greatest);
  uint32x4_t furthest = vdupq_n_u32(last);
  uint32_t sum = 0;
  for (uint32_t i = 0; i < n; i += 4u) {
    mve_pred16_t some = vctp32q(n - i);
    uint32x4_t below = vminq_u32((uint32x4_t)vsubq_s32(most, vldrbq_z_s32(x + i, some)), furthest);
    uint32x4_t power = (uint32x4_t)vldrwq_gather_shifted_offset_z_s32(powers, below, some);
    sum = vaddvaq_p_u32(sum, vrshrq_n_u32(power, 12), some);
  }
  edgeslm_share share = share_of(sum);
  int is_none = share.half == 0u;
  for (uint32_t i = 0; i < n; i += 4u) {
    mve_pred16_t some = vctp32q(n - i);
    uint32x4_t below = vminq_u32((uint32x4_t)vsubq_s32(most, vldrbq_z_s32(x + i, some)), furthest);
    int32x4_t power = vldrwq_gather_shifted_offset_z_s32(powers, below, some);
    /* the inverse is twice, less 2^32 */
    power = is_none ? vdupq_n_s32(0) : vaddq_s32(power, vrmulhq_s32(power, vdupq_n_s32(share.inverse)));
    power = vaddq_n_s32(vrshlq_s32(power, vdupq_n_s32(-(int32_t)share.right)), -128);
    vstrbq_p_s32(y + i, vminq_s32(power, vdupq_n_s32(127)), some);
  }
}

#else

static inline int8_t shared(int32_t power, edgeslm_share share) {
  uint32_t made = (uint32_t)edgeslm_high_sum(power, share.inverse, (int32_t)((uint32_t)power + share.half)) >> share.right;
#if EDGESLM_DSP
  __asm__("usat %0, #8, %0" : "+r"(made));
#else
  made = made < 255u ? made : 255u;
#endif
  return (int8_t)(made ^ 128u);
}

static void softmax_row(int8_t *y, const int8_t *x, uint32_t n, const int32_t *powers, uint32_t last) {
  uint32_t sum = 0, fours = 0;
  int32_t greatest = x[0];
#if EDGESLM_DSP
  fours = n & ~3u;
  uint32_t most = (uint8_t)x[0] * 0x01010101u;
  for (uint32_t i = 0; i < fours; i += 4u) {
    uint32_t four;
    __builtin_memcpy(&four, x + i, 4);
    __ssub8((int8x4_t)four, (int8x4_t)most);
    most = (uint32_t)__sel((uint8x4_t)four, (uint8x4_t)most);
  }
  for (uint32_t i = 0; i < 4u; i++, most >>= 8) greatest = (int8_t)most > greatest ? (int8_t)most : greatest;
#endif
  for (uint32_t i = fours; i < n; i++) greatest = x[i] > greatest ? x[i] : greatest;
#if EDGESLM_DSP
  /* how far four are below the greatest, and not further than the last power; kept in y */
  uint32_t mosts = (uint8_t)greatest * 0x01010101u, lasts = last * 0x01010101u;
  for (uint32_t i = 0; i < fours; i += 4u) {
    uint32_t four;
    __builtin_memcpy(&four, x + i, 4);
    four = (uint32_t)__usub8((uint8x4_t)mosts, (uint8x4_t)four);
    four = (uint32_t)__usub8((uint8x4_t)four, __uqsub8((uint8x4_t)four, (uint8x4_t)lasts));
    __builtin_memcpy(y + i, &four, 4);
    sum += ((uint32_t)powers[four & 255u] + 2048u) >> 12;
    sum += ((uint32_t)powers[four >> 8 & 255u] + 2048u) >> 12;
    sum += ((uint32_t)powers[four >> 16 & 255u] + 2048u) >> 12;
    sum += ((uint32_t)powers[four >> 24] + 2048u) >> 12;
  }
#endif
  for (uint32_t i = fours; i < n; i++) {
    uint32_t below = (uint32_t)(greatest - x[i]);
    below = below < last ? below : last;
    y[i] = (int8_t)below;
    sum += ((uint32_t)powers[below] + 2048u) >> 12;
  }
  edgeslm_share share = share_of(sum);
  for (uint32_t i = 0; i < n; i++) y[i] = share.half ? shared(powers[(uint8_t)y[i]], share) : -128;
}

#endif

void edgeslm_softmax_s8(int8_t *y, const int8_t *x, uint32_t rows, uint32_t columns, const int32_t *powers,
                        uint32_t length) {
  for (; rows; rows--, x += columns, y += columns) softmax_row(y, x, columns, powers, length - 1u);
}
