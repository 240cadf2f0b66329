/* int4 matrix by quantized vector: four rows at a time, group after group. */
#include "kernel_cores.h"
#include "layout.h"
#include "rescale.h"

#if !EDGESLM_ASM_GEMV_I4

/* Integer sums of a group of four rows. */
static inline void group_sums(int32_t sums[4], const uint8_t *weights, const edgeslm_activation *x, uint32_t group) {
  int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
#if EDGESLM_LAYOUT == EDGESLM_LAYOUT_PAIRS
  for (uint32_t column = 0; column < group; column++, weights += 2, x++) {
    sum0 += ((int32_t)(weights[0] & 15u) - 8) * *x;
    sum1 += ((int32_t)(weights[0] >> 4) - 8) * *x;
    sum2 += ((int32_t)(weights[1] & 15u) - 8) * *x;
    sum3 += ((int8_t)weights[1] >> 4) * *x;
  }
#elif EDGESLM_LAYOUT == EDGESLM_LAYOUT_VECTORS
  for (uint32_t column = 0; column < group; column++, weights++, x++) {
    sum0 += ((int32_t)(weights[0] & 15u) - 8) * *x;
    sum1 += ((int8_t)weights[0] >> 4) * *x;
    sum2 += ((int32_t)(weights[group] & 15u) - 8) * *x;
    sum3 += ((int8_t)weights[group] >> 4) * *x;
  }
#else
  uint32_t half = group / 2u;
  for (uint32_t place = 0; place < half; place++, weights++, x += 2) {
    int32_t even = x[0], odd = x[1];
    sum0 += ((int32_t)(weights[0] & 15u) - 8) * even + ((int32_t)(weights[0] >> 4) - 8) * odd;
    sum1 += ((int32_t)(weights[half] & 15u) - 8) * even + ((int32_t)(weights[half] >> 4) - 8) * odd;
    sum2 += ((int32_t)(weights[2u * half] & 15u) - 8) * even + ((int32_t)(weights[2u * half] >> 4) - 8) * odd;
    sum3 += ((int32_t)(weights[3u * half] & 15u) - 8) * even + ((int32_t)(weights[3u * half] >> 4) - 8) * odd;
  }
#endif
  sums[0] = sum0;
  sums[1] = sum1;
  sums[2] = sum2;
  sums[3] = sum3;
}

#endif

#if EDGESLM_FIXED

void edgeslm_gemv_i4_blocks(edgeslm_real *y, const void *matrix, const edgeslm_quantized *x, uint32_t rows,
                            uint32_t columns, uint32_t group, uint32_t mode) {
  const uint8_t *bytes = matrix;
  edgeslm_scaled x_scale = edgeslm_unpack_float(x->scale);
  x_scale.exponent -= 24; /* the unit of half floats */
  for (uint32_t row = 0; row < rows; row += 4u) {
    const void *bias = bytes;
    int64_t totals[4] = {0, 0, 0, 0};
    bytes += edgeslm_bias_bytes(mode);
    for (uint32_t start = 0; start < columns; start += group, bytes += 8u + 2u * group) {
      const uint16_t *scales = (const void *)bytes;
      int32_t sums[4];
      group_sums(sums, bytes + 8, x->values + start, group);
      for (uint32_t i = 0; i < 4u; i++) {
        edgeslm_scaled scale = edgeslm_unpack_half(scales[i]);
        totals[i] += (int64_t)sums[i] * (int64_t)scale.mantissa * ((int64_t)1 << scale.exponent);
      }
    }
    edgeslm_real results[4];
    for (uint32_t i = 0; i < 4u; i++) results[i] = edgeslm_rescale_wide(totals[i], x_scale);
    edgeslm_finish(y + row, results, bias, 4u, mode);
  }
}

#elif !EDGESLM_ASM_GEMV_I4

void edgeslm_gemv_i4_blocks(edgeslm_real *y, const void *matrix, const edgeslm_quantized *x, uint32_t rows,
                            uint32_t columns, uint32_t group, uint32_t mode) {
  const uint8_t *bytes = matrix;
  for (uint32_t row = 0; row < rows; row += 4u) {
    const void *bias = bytes;
    float totals[4];
    bytes += edgeslm_bias_bytes(mode);
    for (uint32_t start = 0; start < columns; start += group, bytes += 8u + 2u * group) {
      const uint16_t *scales = (const void *)bytes;
      int32_t sums[4];
      group_sums(sums, bytes + 8, x->values + start, group);
      for (uint32_t i = 0; i < 4u; i++) {
        float term = (float)sums[i] * edgeslm_from_half(scales[i]);
        totals[i] = start ? totals[i] + term : term;
      }
    }
    edgeslm_real results[4];
    for (uint32_t i = 0; i < 4u; i++) results[i] = totals[i] * x->scale;
    edgeslm_finish(y + row, results, bias, 4u, mode);
  }
}

#endif

void edgeslm_gemv_i4(edgeslm_real *y, const void *matrix, const edgeslm_quantized *x, uint32_t rows, uint32_t columns,
                     uint32_t group, uint32_t mode) {
  uint32_t whole = EDGESLM_FOURS_OF(rows);
  if (EDGESLM_FOURS || whole) edgeslm_gemv_i4_blocks(y, matrix, x, whole, columns, group, mode);
  if (rows == whole) return;
  /* the last block is only partly used */
  edgeslm_real last[4];
  const uint8_t *block = (const uint8_t *)matrix + whole / 4u * edgeslm_block_bytes_i4(columns, group, mode);
  edgeslm_gemv_i4_blocks(last, block, x, 4u, columns, group, mode & EDGESLM_BIAS);
  edgeslm_finish(y + whole, last, NULL, rows - whole, mode & EDGESLM_ACCUMULATE);
}
