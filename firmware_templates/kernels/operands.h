/* Kernels of two operands, row by row. Not for other files. */
#ifndef EDGESLM_OPERANDS_H
#define EDGESLM_OPERANDS_H

#include "scaling.h"

typedef struct {
  const edgeslm_pair_shape *shape;
  edgeslm_short way;           /* of the result */
  edgeslm_short first, second; /* of operands that have their own factor */
} edgeslm_pair_plan;

/* Makes one row of y, of the innermost dimension. */
typedef void edgeslm_row_maker(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_plan *plan);

/* All rows of y, and what an activation cuts off. */
void edgeslm_each_row(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_shape *shape,
                      edgeslm_row_maker *make);

/* y (n) = x * factor + offset, which is twice a sum, the short way. */
void edgeslm_line_s8(int8_t *y, const int8_t *x, int32_t factor, int32_t offset, const edgeslm_pair_plan *plan);

/* An operand, less its zero point, brought to the scale of sums. */
static inline int32_t edgeslm_brought(int32_t value, int32_t zero, int32_t shift, edgeslm_multiplier by) {
  return edgeslm_scaled((value - zero) * (1 << shift), by);
}

#endif
