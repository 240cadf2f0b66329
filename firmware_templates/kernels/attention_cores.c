/* Attention's inner loops over a float32 cache, and the exponentials of softmax. */
#include "kernel_cores.h"
#include "real.h"

#if !EDGESLM_FIXED

float edgeslm_scores_f32(float *scores, const float *q, const float *keys, uint32_t count, uint32_t head_dim) {
#if EDGESLM_ASM_ATTENTION
  if (EDGESLM_HEAD_DIM_OF(head_dim) % 8u == 0) return edgeslm_scores_eights(scores, q, keys, count, head_dim);
#endif
  float greatest = 0.0f;
  for (uint32_t p = 0; p < count; p++, keys += head_dim) {
    float score = edgeslm_dot(q, keys, head_dim);
    if (p == 0 || score > greatest) greatest = score;
    scores[p] = score;
  }
  return greatest;
}

void edgeslm_weighted_f32(float *y, const float *weights, const float *values, float factor, uint32_t count,
                          uint32_t head_dim) {
#if EDGESLM_ASM_ATTENTION
  if (EDGESLM_HEAD_DIM_OF(head_dim) % 8u == 0) {
    edgeslm_weighted_eights(y, weights, values, factor, count, head_dim);
    return;
  }
#endif
  for (uint32_t i = 0; i < head_dim; i++) {
    float total = weights[0] * values[i];
    for (uint32_t p = 1; p < count; p++) total += weights[p] * values[p * head_dim + i];
    y[i] = total * factor;
  }
}

#if !EDGESLM_ASM_ATTENTION
float edgeslm_exp2_row(float *x, float greatest, uint32_t n) {
  float total;
  EDGESLM_SUM(total, n, x[i] = edgeslm_exp2(x[i] - greatest));
  return total;
}
#endif

#else
typedef int edgeslm_no_attention_cores;
#endif
