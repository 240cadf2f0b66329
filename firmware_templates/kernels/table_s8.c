/* Functions of one int8. */
#include "edgeslm_integers.h"
#include "vectors.h"

void edgeslm_table_s8(int8_t *y, const int8_t *x, const int8_t *table, uint32_t n) {
  const uint8_t *bytes = (const uint8_t *)x;
#if EDGESLM_MVE
  for (; n; n -= n < 16u ? n : 16u, y += 16, bytes += 16) {
    mve_pred16_t some = vctp8q(n);
    uint8x16_t places = veorq_u8(vldrbq_z_u8(bytes, some), vdupq_n_u8(128));
    vstrbq_p_s8(y, vldrbq_gather_offset_z_s8(table, places, some), some);
  }
#else
#if EDGESLM_LAYOUT == EDGESLM_LAYOUT_PAIRS
  for (; n >= 4u; n -= 4u, y += 4, bytes += 4) {
    uint32_t four, made;
    __builtin_memcpy(&four, bytes, 4);
    four ^= 0x80808080u;
    made = (uint8_t)table[four & 255u] | (uint32_t)(uint8_t)table[four >> 8 & 255u] << 8 |
           (uint32_t)(uint8_t)table[four >> 16 & 255u] << 16 | (uint32_t)(uint8_t)table[four >> 24] << 24;
    __builtin_memcpy(y, &made, 4);
  }
#endif
  for (uint32_t i = 0; i < n; i++) y[i] = table[bytes[i] ^ 128u];
#endif
}
