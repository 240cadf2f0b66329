/* The kernels a generated model is made of: plain C11, no heap, no recursion, nothing of libm.
 *
 * Every kernel gives the same bits on every core and on the host, whichever of its variants is compiled: integer sums are
 * exact, float sums have one order (four lanes, see below), and no product is fused with a sum (-ffp-contract=off).
 * Numbers below the smallest normal float are the one exception; edgeslm_flush_denormals makes all cores drop them.
 *
 * The build says what the core has, by macros:
 *   EDGESLM_LAYOUT  how matrices are packed: 0 rows, 1 pairs, 2 vectors (edgeslm/backends/cortexm/packing.py packs)
 *   EDGESLM_DSP     assembly for the DSP extension with a single-precision FPU (Cortex-M4, M7, M33); wants layout 1
 *   EDGESLM_MVE     assembly for Helium with floats (Cortex-M55); wants layout 2
 *   EDGESLM_FIXED   no FPU (Cortex-M0+, M3): an edgeslm_real is a fixed-point number with 16 fractional bits
 *   EDGESLM_CACHE   optional: the one format of KV caches that is compiled in (EDGESLM_CACHE_…); all, if not defined
 * and the generated model_config.h says what its model has no use for, so that it takes no flash (all optional):
 *   EDGESLM_FOURS   1: rows, columns, halves of RoPE, widths, heads, the vocabulary are all multiples of 4
 *   EDGESLM_HEAD_DIM what all attention has
 *   EDGESLM_LONGEST the most columns of a matrix
 *   EDGESLM_BIASES  0: no matrix has biases
 *   EDGESLM_INT4    0: no matrix is int4
 * The host build of a board passes the same layout and the same EDGESLM_FIXED, but neither EDGESLM_DSP nor EDGESLM_MVE.
 */
#ifndef EDGESLM_KERNELS_H
#define EDGESLM_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define EDGESLM_LAYOUT_ROWS 0
#define EDGESLM_LAYOUT_PAIRS 1
#define EDGESLM_LAYOUT_VECTORS 2
#ifndef EDGESLM_LAYOUT
#define EDGESLM_LAYOUT EDGESLM_LAYOUT_ROWS
#endif
#ifndef EDGESLM_DSP
#define EDGESLM_DSP 0
#endif
#ifndef EDGESLM_MVE
#define EDGESLM_MVE 0
#endif
#ifndef EDGESLM_FIXED
#define EDGESLM_FIXED 0
#endif
#ifndef EDGESLM_FOURS
#define EDGESLM_FOURS 0
#endif
#ifndef EDGESLM_HEAD_DIM
#define EDGESLM_HEAD_DIM 0 /* any */
#endif
#ifndef EDGESLM_LONGEST
#define EDGESLM_LONGEST 65536
#endif
#ifndef EDGESLM_BIASES
#define EDGESLM_BIASES 1
#endif
#ifndef EDGESLM_INT4
#define EDGESLM_INT4 1
#endif
#if EDGESLM_DSP && (EDGESLM_LAYOUT != EDGESLM_LAYOUT_PAIRS || EDGESLM_FIXED)
#error "EDGESLM_DSP wants EDGESLM_LAYOUT 1 and an FPU"
#endif
#if EDGESLM_MVE && (EDGESLM_LAYOUT != EDGESLM_LAYOUT_VECTORS || EDGESLM_FIXED)
#error "EDGESLM_MVE wants EDGESLM_LAYOUT 2 and an FPU"
#endif

/* ---- Numbers ---------------------------------------------------------------------------------------------------- */

/* An activation: float32, or a signed fixed-point number with 16 fractional bits (sums and products saturate).
 * Weights of norms and biases outside of matrices are edgeslm_real as well. */
#if EDGESLM_FIXED
typedef int32_t edgeslm_real;
typedef uint32_t edgeslm_epsilon;    /* of a norm: 32 fractional bits */
typedef uint32_t edgeslm_frequency;  /* of RoPE: turns per position, 32 fractional bits */
#define EDGESLM_REAL(value) ((edgeslm_real)((value) * 65536.0 + ((value) < 0 ? -0.5 : 0.5)))
#define EDGESLM_EPSILON(value) ((edgeslm_epsilon)((value) * 4294967296.0 + 0.5))
#else
typedef float edgeslm_real;
typedef float edgeslm_epsilon;
typedef float edgeslm_frequency;     /* radians per position */
#define EDGESLM_REAL(value) ((edgeslm_real)(value))
#define EDGESLM_EPSILON(value) ((edgeslm_epsilon)(value))
#endif

/* A quantized activation: 16 bits where the multiplier takes pairs of halfwords, else 8. Values are -127..127, or
 * -128 where a static range is exceeded. */
#if EDGESLM_LAYOUT == EDGESLM_LAYOUT_PAIRS
typedef int16_t edgeslm_activation;
#define EDGESLM_COLUMNS_STEP 4u
#elif EDGESLM_LAYOUT == EDGESLM_LAYOUT_VECTORS
typedef int8_t edgeslm_activation;
#define EDGESLM_COLUMNS_STEP 16u
#else
typedef int8_t edgeslm_activation;
#define EDGESLM_COLUMNS_STEP 4u
#endif

/* Columns after padding; what is padded is zero in activations. */
#define EDGESLM_PADDED(columns) \
  (((uint32_t)(columns) + EDGESLM_COLUMNS_STEP - 1u) / EDGESLM_COLUMNS_STEP * EDGESLM_COLUMNS_STEP)

/* One row of activations, quantized. Bytes: EDGESLM_QUANTIZED_BYTES(columns, group), aligned to 4. */
typedef struct {
#if EDGESLM_FIXED
  uint32_t scale; /* the bits of a float32: value = integer * scale */
#else
  float scale; /* value = integer * scale */
#endif
  int32_t sum;                 /* of all values */
  edgeslm_activation values[]; /* (padded columns); for int4, int32_t sums of each group (columns / group) follow */
} edgeslm_quantized;

/* `group` is 0 for int8 matrices, else 16 or 32 (then `columns` is rounded up to whole groups). */
#define EDGESLM_GROUPS(columns, group) ((group) ? ((uint32_t)(columns) + (group) - 1u) / (group) : 0u)
#define EDGESLM_QUANTIZED_BYTES(columns, group)                                                              \
  (8u +                                                                                                      \
   ((group) ? EDGESLM_GROUPS(columns, group) * (group) : EDGESLM_PADDED(columns)) *                          \
       (uint32_t)sizeof(edgeslm_activation) +                                                                \
   4u * EDGESLM_GROUPS(columns, group))

/* ---- Packed matrices --------------------------------------------------------------------------------------------
 *
 * A matrix (rows, columns) is one run of bytes, aligned to 4, in blocks of four rows (the last is filled up with rows
 * of zeros). A kernel reads it from front to back and needs no other pointer. All fields are little-endian.
 *
 * int8, weights -127..127, a scale for each row:
 *   float32 scale[4] | float32 bias[4] if EDGESLM_BIAS | weights, which depend on the layout:
 *   rows     int8 (4, columns)
 *   pairs    columns padded to a multiple of 4. For each 8 columns (the last may be 4): rows 0 and 1, then rows 2 and 3;
 *            of each pair one halfword for a column: 256 * odd_row + (even_row + 128)
 *   vectors  for each 16 columns (the last may be less): row 0, row 1, row 2, row 3, int8.
 *            16 bytes that are never used follow the last block.
 * int4, weights -8..7, columns padded to whole groups of 16 or 32, a scale ≥ 0 for each row and group:
 *   float32 bias[4] if EDGESLM_BIAS | for each group: float16 scale[4], then weights, 2 * group bytes:
 *   rows     (4, group / 2) bytes: the even column + 8 in the low nibble, the odd column + 8 in the high one
 *   pairs    a halfword for each column: row 0 + 8, row 1 + 8, row 2 + 8 from the lowest nibble up, row 3 signed on top
 *   vectors  (2, group) bytes: row 0 + 8 low and row 1 signed high; then rows 2 and 3
 * float32 (not with EDGESLM_FIXED):
 *   float32 bias[4] if EDGESLM_BIAS | float32 (4, columns)
 * int8 requantized, as int8 but the head of a block is
 *   int32 bias[4], less the input's zero point times the sum of weights | int32 multiplier[4] |
 *   uint32 shift[4]: left shift + 1 in byte 0, right shift in byte 1 (its negative for vectors), bit 31 set if there is
 *   a right shift | weights
 * Biases in matrices are Q16 under EDGESLM_FIXED; scales stay as they are.
 */
#define EDGESLM_BIAS 1u       /* the matrix has biases */
#define EDGESLM_ACCUMULATE 2u /* y = y + result, for residual streams */

/* ---- Before anything else ---------------------------------------------------------------------------------------- */

/* Make this core drop numbers below the smallest normal float, as vector units do. Once, at start; the host as well. */
void edgeslm_flush_denormals(void);

/* ---- Matrix by vector -------------------------------------------------------------------------------------------- */

/* x (columns) -> q: scale = max|x| / 127, value = x * (127 / max|x|) rounded half to even (half up if EDGESLM_FIXED).
 * A row that is nowhere above 2^-100 is all zeros with scale 0. `group`: 0, 16 or 32. */
void edgeslm_quantize_row(edgeslm_quantized *q, const edgeslm_real *x, uint32_t columns, uint32_t group);

/* The same with `limit` ≥ 0 in the place of max|x|, known from calibration: what is beyond it becomes -128 or 127. */
void edgeslm_quantize_static(edgeslm_quantized *q, const edgeslm_real *x, edgeslm_real limit, uint32_t columns,
                             uint32_t group);

/* y (rows) = matrix (rows, columns) by x. With integer sum a: y = (float)a * (scale * x.scale) [+ bias]. */
void edgeslm_gemv_i8(edgeslm_real *y, const void *matrix, const edgeslm_quantized *x, uint32_t rows, uint32_t columns,
                     uint32_t mode);

/* The same with int4 weights: y = ((float)a0 * scale0 + (float)a1 * scale1 + …) * x.scale [+ bias], in this order. */
void edgeslm_gemv_i4(edgeslm_real *y, const void *matrix, const edgeslm_quantized *x, uint32_t rows, uint32_t columns,
                     uint32_t group, uint32_t mode);

#if !EDGESLM_FIXED
/* The same with float32 weights and activations; each row is a dot product of four lanes (edgeslm_dot). */
void edgeslm_gemv_f32(float *y, const void *matrix, const float *x, uint32_t rows, uint32_t columns, uint32_t mode);
#endif

/* Static int8 to int8, bit-exact with TensorFlow Lite's reference kernel (two roundings):
 * y = clamp(round(round(a * multiplier / 2^31) / 2^right) + zero_point, low, high).
 * `scratch`: EDGESLM_PADDED(columns) activations, aligned to 4. `x` is -128..127. */
void edgeslm_gemv_i8_requant(int8_t *y, const void *matrix, const int8_t *x, edgeslm_activation *scratch, uint32_t rows,
                             uint32_t columns, int32_t zero_point, int32_t low, int32_t high);

/* y (columns) = one row of a matrix: the embedding of a token, from the table the output layer shares. `mode` says
 * whether the matrix has biases; they are not added. y = (float)weight * scale. */
void edgeslm_row_i8(edgeslm_real *y, const void *matrix, uint32_t row, uint32_t columns, uint32_t mode);
void edgeslm_row_i4(edgeslm_real *y, const void *matrix, uint32_t row, uint32_t columns, uint32_t group, uint32_t mode);
#if !EDGESLM_FIXED
void edgeslm_row_f32(float *y, const void *matrix, uint32_t row, uint32_t columns, uint32_t mode);
#endif

/* ---- Norms --------------------------------------------------------------------------------------------------------
 * A float sum of n terms has four lanes: lane i starts with term i and takes terms i + 4, i + 8, … in turn; the sum is
 * (lane 0 + lane 1) + (lane 2 + lane 3). A lane without a term is +0. */

/* y = x * rsqrt(mean(x * x) + epsilon) * weight. y may be x. All (n). */
void edgeslm_rmsnorm(edgeslm_real *y, const edgeslm_real *x, const edgeslm_real *weight, uint32_t n,
                     edgeslm_epsilon epsilon);

/* y = (x - mean) * rsqrt(variance + epsilon) * weight + bias. y may be x; bias may be NULL. All (n). */
void edgeslm_layernorm(edgeslm_real *y, const edgeslm_real *x, const edgeslm_real *weight, const edgeslm_real *bias,
                       uint32_t n, edgeslm_epsilon epsilon);

/* x = x / max(sqrt(sum of squares), least). (n) */
void edgeslm_unit_norm(edgeslm_real *x, uint32_t n, edgeslm_epsilon least);

/* ---- Pooling -------------------------------------------------------------------------------------------------------
 * y (n) = one row for the rows of a text, x (count, n), count ≥ 1: their mean, their mean with weights 1 … count, their
 * sum / sqrt(count), the greatest of each column, or the last of them. */
#define EDGESLM_POOL_MEAN 0u
#define EDGESLM_POOL_WEIGHTED 1u
#define EDGESLM_POOL_SQRT 2u
#define EDGESLM_POOL_MAX 3u
#define EDGESLM_POOL_LAST 4u
void edgeslm_pool(edgeslm_real *y, const edgeslm_real *x, uint32_t count, uint32_t n, uint32_t mode);

/* ---- Rotary positions -------------------------------------------------------------------------------------------- */

/* angles: cosines (half), then sines (half), of position * frequency; once for each token.
 * Under EDGESLM_FIXED they have 30 fractional bits. */
void edgeslm_rope_angles(edgeslm_real *angles, const edgeslm_frequency *frequencies, uint32_t half, uint32_t position);

/* x (heads, head_dim): turns elements i and i + half of each head, for i < half; the rest of a head stays. */
void edgeslm_rope(edgeslm_real *x, const edgeslm_real *angles, uint32_t heads, uint32_t head_dim, uint32_t half);

/* ---- Attention ----------------------------------------------------------------------------------------------------
 * A cache of keys or of values, for one layer: (kv_heads, context, head_dim) elements, aligned to 4. int8 has a float
 * scale for each head and position behind the elements: (kv_heads, context), at the next multiple of 4.
 * Under EDGESLM_FIXED, FLOAT32 means edgeslm_real, scales have 24 fractional bits, and there is no FLOAT16. */
#define EDGESLM_CACHE_FLOAT32 0u
#define EDGESLM_CACHE_FLOAT16 1u
#define EDGESLM_CACHE_INT8 2u

typedef struct {
  uint16_t heads, kv_heads, head_dim;
  uint16_t cache;           /* EDGESLM_CACHE_… */
  uint32_t context;         /* positions the cache holds */
  edgeslm_real score_scale; /* log2(e) / sqrt(head_dim), or the model's own scale times log2(e) */
  edgeslm_real score_cap;   /* log2(e) times the model's cap; only edgeslm_capped_attention reads it */
} edgeslm_attention_shape;

#define EDGESLM_CACHE_BYTES(kv_heads, context, head_dim, cache)                                   \
  ((cache) == EDGESLM_CACHE_INT8                                                                  \
       ? ((kv_heads) * (context) * (head_dim) + 3u) / 4u * 4u + 4u * (kv_heads) * (context)       \
       : (kv_heads) * (context) * (head_dim) * ((cache) == EDGESLM_CACHE_FLOAT16 ? 2u : 4u))

/* x (kv_heads, head_dim) -> the cache, at `position`. */
void edgeslm_cache_store(void *cache, const edgeslm_real *x, const edgeslm_attention_shape *shape, uint32_t position);

/* y (heads, head_dim) = attention of q (heads, head_dim) over the positions first ≤ p < end of one layer's caches.
 * q is multiplied by score_scale in place; y may be q. `scores`: (end - first) reals. Over an int8 cache q and the weights
 * of positions are rounded to 16 bits (fewer from 512 positions on), so that sums of products are exact integers. */
void edgeslm_attention(edgeslm_real *y, edgeslm_real *q, const void *keys, const void *values, edgeslm_real *scores,
                       const edgeslm_attention_shape *shape, uint32_t first, uint32_t end);

/* The same, but each score s (in powers of two) is score_cap * tanh(s / score_cap). */
void edgeslm_capped_attention(edgeslm_real *y, edgeslm_real *q, const void *keys, const void *values,
                              edgeslm_real *scores, const edgeslm_attention_shape *shape, uint32_t first,
                              uint32_t end);

/* ---- Element by element; all (n), y may be any of the inputs ------------------------------------------------------ */

void edgeslm_add(edgeslm_real *y, const edgeslm_real *x, uint32_t n);                /* y = y + x */
void edgeslm_mul(edgeslm_real *y, const edgeslm_real *x, uint32_t n);                /* y = y * x */
void edgeslm_scale(edgeslm_real *x, edgeslm_real factor, uint32_t n);                /* x = x * factor */
void edgeslm_soft_cap(edgeslm_real *x, edgeslm_real cap, uint32_t n);                /* x = cap * tanh(x / cap) */
void edgeslm_softmax(edgeslm_real *x, uint32_t n);                                   /* in place */
void edgeslm_silu_mul(edgeslm_real *y, const edgeslm_real *gate, const edgeslm_real *up, uint32_t n);
void edgeslm_gelu_tanh_mul(edgeslm_real *y, const edgeslm_real *gate, const edgeslm_real *up, uint32_t n);
void edgeslm_silu(edgeslm_real *x, uint32_t n);
void edgeslm_gelu_tanh(edgeslm_real *x, uint32_t n);
void edgeslm_gelu_erf(edgeslm_real *x, uint32_t n);
void edgeslm_tanh(edgeslm_real *x, uint32_t n);
void edgeslm_relu(edgeslm_real *x, uint32_t n);

/* The index of the greatest; the first of equals. n ≥ 1. */
uint32_t edgeslm_argmax(const edgeslm_real *x, uint32_t n);

#endif
