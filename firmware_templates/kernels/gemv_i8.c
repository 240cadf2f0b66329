/* int8 matrix by quantized vector: four rows at a time. */
#include "block_i8.h"
#include "kernel_cores.h"
#include "rescale.h"

#if !EDGESLM_ASM_GEMV_I8
void edgeslm_gemv_i8_blocks(edgeslm_real *y, const void *matrix, const edgeslm_quantized *x, uint32_t rows,
                            uint32_t columns, uint32_t mode) {
  const uint8_t *block = matrix;
  uint32_t head = 16u + edgeslm_bias_bytes(mode);
  for (uint32_t row = 0; row < rows; row += 4u, block += edgeslm_block_bytes_i8(columns, head)) {
    int32_t sums[4];
    edgeslm_real results[4];
    edgeslm_block_i8(sums, block + head, x->values, columns);
#if EDGESLM_FIXED
    const uint32_t *scales = (const void *)block;
#else
    const float *scales = (const void *)block;
#endif
    for (uint32_t i = 0; i < 4u; i++) results[i] = edgeslm_rescale(sums[i], scales[i], x->scale);
    edgeslm_finish(y + row, results, (const void *)(block + 16), 4u, mode);
  }
}
#endif

void edgeslm_gemv_i8(edgeslm_real *y, const void *matrix, const edgeslm_quantized *x, uint32_t rows, uint32_t columns,
                     uint32_t mode) {
  uint32_t whole = EDGESLM_FOURS_OF(rows);
  if (EDGESLM_FOURS || whole) edgeslm_gemv_i8_blocks(y, matrix, x, whole, columns, mode);
  if (rows == whole) return;
  /* the last block is only partly used */
  edgeslm_real last[4];
  const uint8_t *block =
      (const uint8_t *)matrix + whole / 4u * edgeslm_block_bytes_i8(columns, 16u + edgeslm_bias_bytes(mode));
  edgeslm_gemv_i8_blocks(last, block, x, 4u, columns, mode & EDGESLM_BIAS);
  edgeslm_finish(y + whole, last, NULL, rows - whole, mode & EDGESLM_ACCUMULATE);
}
