/* The inner parts of integer kernels that have assembly variants. Each has a portable one beside its kernel. */
#ifndef EDGESLM_INTEGER_CORES_H
#define EDGESLM_INTEGER_CORES_H

#include "scaling.h"

/* How rows go through a matrix. Assembly knows where each field is. */
typedef struct {
  const int32_t *factors;    /* 0: four mantissas, four right shifts */
  uint32_t factors_step;     /* 4: words to those of the next block, or 0 */
  uint32_t head_bytes;       /* 8: of a block */
  uint32_t block_bytes;      /* 12 */
  uint32_t columns;          /* 16 */
  int32_t zero, low, high;   /* 20, 24, 28 */
  int32_t corrections[2];    /* 32: -128 times the sum of each row of x */
  uint32_t y_step;           /* 40: from a row of y to the next */
} edgeslm_linear_plan;

#if EDGESLM_DSP
/* y = (x * factor + offset, scaled) * twice_sign + half * half_factor + half_offset, scaled: in this order. */
typedef struct {
  int32_t factor, offset, add, mantissa;
  uint32_t right;
  int32_t half_factor, half_offset, twice_sign;
  int32_t way_add, way_mantissa;
  uint32_t way_right;
  const int8_t *end; /* of y; at least four from its start, and a multiple of that */
} edgeslm_two_scales;

void edgeslm_two_scales_fours(int8_t *y, const int8_t *x, const int8_t *half, const edgeslm_two_scales *scales);

/* sums = two rows by two columns of halfwords, of which four take turns. */
void edgeslm_two_by_two(int32_t sums[4], const int16_t *rows, const int16_t *columns, const int16_t *end_of_rows);
#endif

/* One row of x by `rows` (a multiple of 4, at least 4) of a matrix. */
void edgeslm_linear_one(int8_t *y, const void *matrix, const edgeslm_activation *x, uint32_t rows,
                        edgeslm_linear_plan *plan);

#if EDGESLM_DSP || EDGESLM_MVE
/* In assembly only: two rows of x. Pairs: their columns take turns, four by four, and there are up to 512. Vectors: they
 * are EDGESLM_PADDED(columns) from each other. */
void edgeslm_linear_two(int8_t *y, const void *matrix, const edgeslm_activation *x, uint32_t rows,
                        edgeslm_linear_plan *plan);
#endif

#endif
