/* The kernels of graphs whose tensors are static int8: bit for bit what TensorFlow Lite Micro's reference kernels give,
 * on every core and on the host. Plain C11, no heap, no recursion, no floats but in edgeslm_to_s8 and edgeslm_from_s8.
 *
 * real = scale * (integer - zero point). Shapes are static: all that a kernel is told is constant in a generated model.
 * edgeslm/backends/cortexm/integer_packing.py packs matrices, makes tables, and says how large each `scratch` is.
 * A scratch and a matrix are aligned to 4, other buffers need not be. y is none of the inputs, if nothing else is said.
 */
#ifndef EDGESLM_INTEGERS_H
#define EDGESLM_INTEGERS_H

#include "edgeslm_kernels.h"

/* What a net has no use for takes no flash, where its model_config.h says so (all optional). Of packed matrices: */
#ifndef EDGESLM_NET_MOST_ROWS
#define EDGESLM_NET_MOST_ROWS UINT32_MAX /* the most rows of x */
#endif
#ifndef EDGESLM_NET_LONGEST
#define EDGESLM_NET_LONGEST UINT32_MAX /* the most columns */
#endif
#ifndef EDGESLM_NET_ODD_ROWS
#define EDGESLM_NET_ODD_ROWS 1 /* 0: rows of x are even in number */
#endif
#ifndef EDGESLM_NET_ROW_TAILS
#define EDGESLM_NET_ROW_TAILS 1 /* 0: rows are multiples of 4 */
#endif
#ifndef EDGESLM_NET_COLUMN_TAILS
#define EDGESLM_NET_COLUMN_TAILS 1 /* 0: columns, and terms of other matrices, are multiples of 16 */
#endif
#ifndef EDGESLM_NET_EACH
#define EDGESLM_NET_EACH 2 /* 0: no matrix has factors for each row, 1: all have */
#endif
/* Of other matrices: */
#ifndef EDGESLM_NET_MATMUL_BIAS
#define EDGESLM_NET_MATMUL_BIAS 1 /* 0: none has a bias or factors for each column */
#endif
#ifndef EDGESLM_NET_MATMUL_ANY
#define EDGESLM_NET_MATMUL_ANY 1 /* 0: nor is one cut off, all shifts are 1 … 22 to the right, rows and columns even */
#endif
/* Forms of two operands that occur: the sum of EDGESLM_FORM_… */
#ifndef EDGESLM_NET_ADD_FORMS
#define EDGESLM_NET_ADD_FORMS 127
#endif
#ifndef EDGESLM_NET_SUB_FORMS
#define EDGESLM_NET_SUB_FORMS 127
#endif
#ifndef EDGESLM_NET_SQUARED_DIFFERENCE_FORMS
#define EDGESLM_NET_SQUARED_DIFFERENCE_FORMS 127
#endif
#ifndef EDGESLM_NET_MUL_FORMS
#define EDGESLM_NET_MUL_FORMS 127
#endif

/* A factor mantissa / 2^31 * 2^shift, the mantissa 0 … 2^31 - 1, the shift -31 … 30. A product is rounded twice: by the
 * mantissa (halves up), then by the power (halves away from zero). A left shift comes first, and wraps around. */
typedef struct {
  int32_t mantissa, shift;
} edgeslm_multiplier;

/* Of an int8 result. What an activation cuts off is in low and high. */
typedef struct {
  int32_t zero_point, low, high;
} edgeslm_integers;

/* ---- Matrices ---------------------------------------------------------------------------------------------------- */

/* y (count, rows) = x (count, columns) by a matrix (rows, columns) as `pack_linear` packs it, in blocks of four rows:
 *   int32 start[4]: the biases, less the input's zero point times the sum of weights; doubled, but for vectors
 *   int32 mantissa[4] | int32 right shift[4], 1 … 22, only if `by` has the mantissa 0: a multiplier for each row;
 *   for vectors the shift's negative
 *   weights as in an int8 matrix (edgeslm_kernels.h)
 * Rows of x share loads of weights. */
typedef struct {
  uint32_t count, rows, columns;
  edgeslm_multiplier by; /* a right shift of 1 … 22 */
  edgeslm_integers out;
} edgeslm_linear_shape;

void edgeslm_linear_s8(int8_t *y, const void *matrix, const int8_t *x, void *scratch,
                       const edgeslm_linear_shape *shape);

/* y (batch, rows, columns) = a (batch, rows, terms) by b (batch, terms, columns) + bias (columns) or NULL. Strides are
 * in elements, so that split heads and transposes need no copy; y's columns lie together. */
typedef struct {
  uint32_t batch, rows, terms, columns;
  int32_t a_batch, a_row, a_term, b_batch, b_term, b_column, y_batch, y_row;
  int32_t a_zero, b_zero;
  edgeslm_multiplier by;
  edgeslm_integers out;
  const edgeslm_multiplier *each; /* (columns) in the place of `by`, or NULL */
} edgeslm_matmul_shape;

void edgeslm_matmul_s8(int8_t *y, const int8_t *a, const int8_t *b, const int32_t *bias, void *scratch,
                       const edgeslm_matmul_shape *shape);

/* ---- Two operands -------------------------------------------------------------------------------------------------
 * y is dense, (extents[0], extents[1], extents[2]); a stride of 0 repeats an operand. Both operands less their zero points are
 * shifted left by `shift` bits, scaled by their own multipliers, joined, and scaled by `result`. y may be a dense operand.
 *
 * `form` is what `pair_form` (integer_packing.py) says: which short way leads to the same bits. In a row both operands
 * lie dense, or one of them is one number; and a dense one is scaled by 1/2, or by its own factor. */
#define EDGESLM_FORM_ANY 1
#define EDGESLM_FORM_DENSE_A 2    /* a has its own factor, b has 1/2; products: both dense */
#define EDGESLM_FORM_DENSE_B 4    /* b has its own factor */
#define EDGESLM_FORM_NUMBER_A 8   /* a is a number, b has 1/2; products: any b */
#define EDGESLM_FORM_NUMBER_B 16
#define EDGESLM_FORM_OWN_B 32     /* a is a number, b has its own factor */
#define EDGESLM_FORM_OWN_A 64

typedef struct {
  uint32_t extents[3];
  int32_t a[3], b[3]; /* strides, in elements */
  int32_t a_zero, b_zero;
  edgeslm_multiplier first, second, result;
  int32_t shift;
  edgeslm_integers out;
  uint32_t form;
} edgeslm_pair_shape;

void edgeslm_add_s8(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_shape *shape);
void edgeslm_sub_s8(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_shape *shape);
void edgeslm_squared_difference_s8(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_shape *shape);

/* y = product of both less their zero points, scaled by `result`. Reads neither first, second nor shift. */
void edgeslm_mul_s8(int8_t *y, const int8_t *a, const int8_t *b, const edgeslm_pair_shape *shape);

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

/* Of each row of x (rows, columns), columns ≤ 4095; y has scale 1/256 and zero point -128, and may be x. powers
 * (length ≤ 256): 2^31 times exp of minus its index times scale and beta; what is further from the greatest than the
 * last, counts as the last. */
void edgeslm_softmax_s8(int8_t *y, const int8_t *x, uint32_t rows, uint32_t columns, const int32_t *powers,
                        uint32_t length);

/* y (outer, inner) = sum over the middle of x (outer, count, inner), less count * zero, scaled. */
void edgeslm_mean_s8(int8_t *y, const int8_t *x, uint32_t outer, uint32_t count, uint32_t inner, int32_t zero,
                     edgeslm_multiplier by, const edgeslm_integers *out);

/* ---- Elements ---------------------------------------------------------------------------------------------------- */

/* y (n): table (256) at x + 128. y may be x. */
void edgeslm_table_s8(int8_t *y, const int8_t *x, const int8_t *table, uint32_t n);

/* y (outer, count) from x (outer, extent), elements of `bytes` each: those that ids (count) tell. Returns 1; or 0 where
 * an id is not 0 … extent - 1, and nothing is read or written there. */
int edgeslm_gather(void *y, const void *x, const int32_t *ids, uint32_t outer, uint32_t count, uint32_t extent,
                   uint32_t bytes);

/* y = x, each with its own strides, in elements of `bytes` (1 or 4; 4 wants x, y aligned to 4): transposes, slices,
 * parts of a concatenation, what padding surrounds, broadcasts. */
typedef struct {
  uint32_t extents[5]; /* the last is the innermost */
  int32_t x[5], y[5];
  uint32_t bytes;
} edgeslm_copy_shape;

void edgeslm_copy(void *y, const void *x, const edgeslm_copy_shape *shape);

void edgeslm_fill_s8(int8_t *y, int32_t value, uint32_t n);

/* y (n) = x / scale, halves away from zero, + zero, cut off at -128 and 127; and x's reals again. */
void edgeslm_to_s8(int8_t *y, const float *x, uint32_t n, float scale, int32_t zero);
void edgeslm_from_s8(float *y, const int8_t *x, uint32_t n, float scale, int32_t zero);

#endif
