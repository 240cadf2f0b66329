/* Static int8 to int8, with TensorFlow Lite's two roundings (its reference kernel's fully connected layer). */
#include "block_i8.h"
#include "kernel_cores.h"

#if EDGESLM_DSP
#include <arm_acle.h>
#endif

#define HEAD 48u /* biases, multipliers, shifts */

#if !EDGESLM_ASM_REQUANT

/* value * multiplier / 2^31, halves rounded up; then / 2^right, halves rounded away from zero. */
static int32_t multiply(int32_t value, int32_t multiplier, uint32_t shift) {
#if EDGESLM_LAYOUT == EDGESLM_LAYOUT_VECTORS
  uint32_t right = (0u - (shift >> 8)) & 0xffu;
#else
  uint32_t right = shift >> 8 & 0xffu;
#endif
  int64_t doubled = (int64_t)value * ((int64_t)1 << (shift & 0xffu));
  int32_t high = (int32_t)((doubled * multiplier + ((int64_t)1 << 31)) >> 32);
  if (right == 0u) return high;
  return (int32_t)(((int64_t)high - (high < 0) + ((int64_t)1 << (right - 1u))) >> right);
}

void edgeslm_gemv_i8_requant_blocks(int8_t *y, const void *matrix, const edgeslm_activation *x, uint32_t rows,
                                    uint32_t columns, const edgeslm_requant *requant) {
  const uint8_t *block = matrix;
  for (uint32_t row = 0; row < rows; row += 4u, block += edgeslm_block_bytes_i8(columns, HEAD)) {
    const int32_t *bias = (const void *)block, *multiplier = bias + 4;
    const uint32_t *shift = (const void *)(block + 32);
    int32_t sums[4];
    edgeslm_block_i8(sums, block + HEAD, x, columns);
    for (uint32_t i = 0; i < 4u; i++) {
      int32_t value = multiply(sums[i] + bias[i], multiplier[i], shift[i]) + requant->zero_point;
      value = value < requant->low ? requant->low : value > requant->high ? requant->high : value;
      y[row + i] = (int8_t)value;
    }
  }
}

#endif

/* x as the blocks read it, and the sum that pairs want. */
static const edgeslm_activation *activations_of(const int8_t *x, edgeslm_activation *scratch, uint32_t columns,
                                                int32_t *sum) {
#if EDGESLM_LAYOUT != EDGESLM_LAYOUT_PAIRS
  (void)sum;
  if (columns % EDGESLM_COLUMNS_STEP == 0) return x;
  for (uint32_t i = 0; i < columns; i++) scratch[i] = x[i];
  for (uint32_t i = columns; i < EDGESLM_PADDED(columns); i++) scratch[i] = 0;
#else
  uint32_t i = 0;
#if EDGESLM_DSP
  /* four bytes to four halfwords */
  for (; i + 4u <= columns; i += 4u) {
    uint32_t bytes, *words = (uint32_t *)(void *)(scratch + i);
    __builtin_memcpy(&bytes, x + i, 4);
    uint32_t even = (uint32_t)__sxtb16((int8x4_t)bytes);
    uint32_t odd = (uint32_t)__sxtb16((int8x4_t)(bytes >> 8 | bytes << 24));
    words[0] = (even & 0xffffu) | odd << 16;
    words[1] = even >> 16 | (odd & 0xffff0000u);
    *sum = __smlad((int16x2_t)even, 0x00010001, *sum);
    *sum = __smlad((int16x2_t)odd, 0x00010001, *sum);
  }
#endif
  for (; i < columns; i++) {
    scratch[i] = x[i];
    *sum += x[i];
  }
  for (; i < EDGESLM_PADDED(columns); i++) scratch[i] = 0;
#endif
  return scratch;
}

void edgeslm_gemv_i8_requant(int8_t *y, const void *matrix, const int8_t *x, edgeslm_activation *scratch, uint32_t rows,
                             uint32_t columns, int32_t zero_point, int32_t low, int32_t high) {
  edgeslm_requant requant = {zero_point, low, high, 0};
  uint32_t whole = rows & ~3u;
  const edgeslm_activation *values = activations_of(x, scratch, columns, &requant.sum);
  if (whole) edgeslm_gemv_i8_requant_blocks(y, matrix, values, whole, columns, &requant);
  if (rows == whole) return;
  /* the last block is only partly used */
  int8_t last[4];
  const uint8_t *block = (const uint8_t *)matrix + whole / 4u * edgeslm_block_bytes_i8(columns, HEAD);
  edgeslm_gemv_i8_requant_blocks(last, block, values, 4u, columns, &requant);
  for (uint32_t i = 0; i < rows - whole; i++) y[whole + i] = last[i];
}
