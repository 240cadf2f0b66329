/* One row of a packed matrix: the embedding of a token. */
#include "layout.h"
#include "rescale.h"

void edgeslm_row_i8(edgeslm_real *y, const void *matrix, uint32_t row, uint32_t columns, uint32_t mode) {
  uint32_t head = 16u + edgeslm_bias_bytes(mode);
  const uint8_t *block = (const uint8_t *)matrix + row / 4u * edgeslm_block_bytes_i8(columns, head);
#if EDGESLM_FIXED
  uint32_t scale = ((const uint32_t *)(const void *)block)[row % 4u];
  const uint32_t one = 0x3f800000u;
#else
  float scale = ((const float *)(const void *)block)[row % 4u];
  const float one = 1.0f;
#endif
  const uint8_t *run = block + head;
  for (uint32_t start = 0; start < columns; start += EDGESLM_RUN, run += 4u * EDGESLM_RUN) {
    /* a run of columns: where this row's weights are in it, and how far apart */
    uint32_t left = columns - start, count = left < EDGESLM_RUN ? left : EDGESLM_RUN;
    const uint8_t *weight = run + edgeslm_place_in_run(row % 4u, columns - start);
    for (uint32_t i = 0; i < count; i++, weight += EDGESLM_APART)
      y[start + i] = edgeslm_rescale(edgeslm_weight_i8(*weight, row), scale, one);
  }
}

void edgeslm_row_i4(edgeslm_real *y, const void *matrix, uint32_t row, uint32_t columns, uint32_t group,
                    uint32_t mode) {
  const uint8_t *bytes = (const uint8_t *)matrix + row / 4u * edgeslm_block_bytes_i4(columns, group, mode);
  bytes += edgeslm_bias_bytes(mode);
  for (uint32_t start = 0; start < columns; start += group, bytes += 8u + 2u * group) {
    uint16_t half = ((const uint16_t *)(const void *)bytes)[row % 4u];
#if EDGESLM_FIXED
    edgeslm_scaled scale = edgeslm_unpack_half(half);
    scale.exponent -= 24;
#else
    float scale = edgeslm_from_half(half);
#endif
    for (uint32_t column = 0; column < group && start + column < columns; column++) {
      int32_t weight = edgeslm_weight_i4(bytes + 8, row % 4u, column, group);
#if EDGESLM_FIXED
      y[start + column] = edgeslm_rescale_wide(weight, scale);
#else
      y[start + column] = edgeslm_rescale(weight, scale, 1.0f);
#endif
    }
  }
}

#if !EDGESLM_FIXED
void edgeslm_row_f32(float *y, const void *matrix, uint32_t row, uint32_t columns, uint32_t mode) {
  const uint8_t *block = (const uint8_t *)matrix + row / 4u * edgeslm_block_bytes_f32(columns, mode);
  const float *weights = (const void *)(block + edgeslm_bias_bytes(mode));
  for (uint32_t column = 0; column < columns; column++) y[column] = weights[row % 4u * columns + column];
}
#endif
