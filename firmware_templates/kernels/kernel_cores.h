/* The inner parts of kernels that have assembly variants. Each has a portable one beside its kernel. */
#ifndef EDGESLM_KERNEL_CORES_H
#define EDGESLM_KERNEL_CORES_H

#include "edgeslm_kernels.h"

/* Which of them are in assembly; the portable one is left out then. */
#define EDGESLM_ASM_GEMV_I8 (EDGESLM_DSP || EDGESLM_MVE)
#define EDGESLM_ASM_GEMV_I4 (EDGESLM_DSP || EDGESLM_MVE)
#define EDGESLM_ASM_REQUANT (EDGESLM_DSP || EDGESLM_MVE)
#define EDGESLM_ASM_ATTENTION (EDGESLM_DSP || EDGESLM_MVE)
#define EDGESLM_ASM_SILU (EDGESLM_DSP || EDGESLM_MVE)
#define EDGESLM_ASM_QUANTIZE (EDGESLM_DSP || EDGESLM_MVE)
#define EDGESLM_ASM_ROWS (EDGESLM_DSP || EDGESLM_MVE)
#define EDGESLM_ASM_ARGMAX EDGESLM_MVE

/* Of n elements, those in whole fours: all, where the build says so. */
#define EDGESLM_FOURS_OF(n) (EDGESLM_FOURS ? (n) : (n) & ~3u)

/* The one dimension of heads, where the build says it; else n. */
#define EDGESLM_HEAD_DIM_OF(n) (EDGESLM_HEAD_DIM ? EDGESLM_HEAD_DIM : (n))

/* edgeslm_gemv_i8 for whole blocks: rows is a multiple of 4, at least 4. */
void edgeslm_gemv_i8_blocks(edgeslm_real *y, const void *matrix, const edgeslm_quantized *x, uint32_t rows,
                            uint32_t columns, uint32_t mode);

/* edgeslm_gemv_i4 for whole blocks. */
void edgeslm_gemv_i4_blocks(edgeslm_real *y, const void *matrix, const edgeslm_quantized *x, uint32_t rows,
                            uint32_t columns, uint32_t group, uint32_t mode);

/* How results of edgeslm_gemv_i8_requant are moved into int8. */
typedef struct {
  int32_t zero_point, low, high;
  int32_t sum; /* of the activations */
} edgeslm_requant;

/* edgeslm_gemv_i8_requant for whole blocks, from activations that are ready. */
void edgeslm_gemv_i8_requant_blocks(int8_t *y, const void *matrix, const edgeslm_activation *x, uint32_t rows,
                                    uint32_t columns, const edgeslm_requant *requant);

#if !EDGESLM_FIXED
/* scores (count) = q by keys (count, head_dim), each in four lanes; returns the greatest. count ≥ 1. */
float edgeslm_scores_f32(float *scores, const float *q, const float *keys, uint32_t count, uint32_t head_dim);

/* x (n) = 2^(x - greatest); returns their sum in four lanes. */
float edgeslm_exp2_row(float *x, float greatest, uint32_t n);

/* y (head_dim) = (weight 0 * value row 0 + weight 1 * value row 1 + …) * factor. count ≥ 1. */
void edgeslm_weighted_f32(float *y, const float *weights, const float *values, float factor, uint32_t count,
                          uint32_t head_dim);

/* The same over int8 keys and values with a scale for each position. q, and then weights, are rounded to integers of 16
 * bits in their own place. */
float edgeslm_scores_i8(float *scores, float *q, const int8_t *keys, const float *scales, uint32_t count,
                        uint32_t head_dim);
void edgeslm_weighted_i8(float *y, float *weights, const int8_t *values, const float *scales, float factor,
                         uint32_t count, uint32_t head_dim);

/* In assembly only: both for heads a multiple of 8 long. */
float edgeslm_scores_eights(float *scores, const float *q, const float *keys, uint32_t count, uint32_t head_dim);
void edgeslm_weighted_eights(float *y, const float *weights, const float *values, float factor, uint32_t count,
                             uint32_t head_dim);

/* In assembly only: twice the bits of the greatest magnitude of x (columns); and x (columns, a multiple of 4) * factor
 * rounded, whose sum is returned. */
uint32_t edgeslm_greatest(const float *x, uint32_t columns);
int32_t edgeslm_quantize_fours(edgeslm_activation *values, const float *x, uint32_t columns, float factor);

/* In assembly only: the same, but saturated to -128 … 127; columns is a multiple of 4, or of 8 for MVE. */
int32_t edgeslm_saturate_row(edgeslm_activation *values, const float *x, uint32_t columns, float factor);

/* In assembly only, for n a multiple of 4 and not 0: edgeslm_dot; y = x * factor * weight; edgeslm_scale; edgeslm_rope
 * of n pairs (a, b); edgeslm_argmax. */
float edgeslm_dot_fours(const float *a, const float *b, uint32_t n);
void edgeslm_normalize_fours(float *y, const float *x, const float *weight, float factor, uint32_t n);
void edgeslm_scale_fours(float *x, float factor, uint32_t n);
void edgeslm_rope_fours(float *a, float *b, const float *cosines, const float *sines, uint32_t n);
uint32_t edgeslm_argmax_fours(const float *x, uint32_t n);
#endif

#endif
