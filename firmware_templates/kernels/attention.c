/* Attention of one token over cached keys and values, grouped-query (Ainslie et al., 2023). */
#include "cache.h"
#include "kernel_cores.h"

/* Attention with caps is a kernel of its own, so that a model without them does not carry what caps. */
#define EDGESLM_BOTH_KINDS static inline __attribute__((always_inline))

#if EDGESLM_FIXED

static int32_t score_of(const int32_t *q, const void *keys, uint32_t place, uint32_t head_dim, uint32_t format) {
  int64_t sum = 0;
  if (format == EDGESLM_CACHE_FLOAT32)
    for (uint32_t i = 0; i < head_dim; i++) sum += ((int64_t)q[i] * ((const int32_t *)keys)[place + i]) >> 8;
  else
    for (uint32_t i = 0; i < head_dim; i++) sum += (int64_t)q[i] * ((const int8_t *)keys)[place + i];
  return format == EDGESLM_CACHE_FLOAT32 ? edgeslm_saturate(edgeslm_shift(sum, 8u)) : edgeslm_saturate(sum);
}

/* sum / total, both of weights with 20 fractional bits, where inverse = 2^51 / total. */
static int32_t mean_of(int64_t sum, uint32_t inverse) {
  int64_t high = sum >> 32, low = (int64_t)((uint64_t)sum & 0xffffffffu);
  return edgeslm_saturate((high * inverse + (low * inverse >> 32)) >> 19);
}

EDGESLM_BOTH_KINDS void attend(int32_t *y, int32_t *q, const void *keys, const void *values, int32_t *scores,
                               const edgeslm_attention_shape *shape, uint32_t first, uint32_t end, int capped) {
  uint32_t head_dim = EDGESLM_HEAD_DIM_OF(shape->head_dim), format = EDGESLM_CACHE_OF(shape), count = end - first;
  uint32_t shared = (uint32_t)shape->heads / shape->kv_heads;
  for (uint32_t head = 0; head < shape->heads; head++, q += head_dim, y += head_dim) {
    uint32_t row = head / shared * shape->context + first;
    const int32_t *key_scales = edgeslm_cache_scales(keys, shape) + row;
    const int32_t *value_scales = edgeslm_cache_scales(values, shape) + row;
    /* scores, in powers of two */
    int32_t greatest = INT32_MIN;
    for (uint32_t i = 0; i < head_dim; i++) q[i] = edgeslm_times(q[i], shape->score_scale, 16u);
    for (uint32_t p = 0; p < count; p++) {
      int32_t score = score_of(q, keys, (row + p) * head_dim, head_dim, format);
      if (format == EDGESLM_CACHE_INT8) score = edgeslm_times(score, key_scales[p], 24u);
      if (score > greatest) greatest = score;
      scores[p] = score;
    }
    if (capped) {
      edgeslm_soft_cap(scores, shape->score_cap, count);
      edgeslm_soft_cap(&greatest, shape->score_cap, 1u);
    }
    /* weights with 20 fractional bits */
    uint32_t total = 0;
    for (uint32_t p = 0; p < count; p++) {
      uint32_t weight = edgeslm_exp2_fixed(edgeslm_saturate((int64_t)scores[p] - greatest)) >> 10;
      total += weight;
      scores[p] = (int32_t)weight;
    }
    uint32_t inverse = (uint32_t)edgeslm_divide((uint64_t)1 << 51, total);
    /* the mean of values */
    for (uint32_t i = 0; i < head_dim; i++) {
      int64_t sum = 0;
      for (uint32_t p = 0; p < count; p++) {
        uint32_t place = (row + p) * head_dim + i;
        if (format == EDGESLM_CACHE_FLOAT32)
          sum += (int64_t)scores[p] * ((const int32_t *)values)[place];
        else
          sum += (int64_t)scores[p] * ((value_scales[p] * (int64_t)((const int8_t *)values)[place]) >> 8);
      }
      y[i] = mean_of(sum, inverse);
    }
  }
}

#else

/* ---- Caches of half floats ---------------------------------------------------------------------------------------- */

static float scores_f16(float *scores, const float *q, const uint16_t *keys, uint32_t count, uint32_t head_dim) {
  float greatest = 0.0f;
  for (uint32_t p = 0; p < count; p++, keys += head_dim) {
    float score;
    EDGESLM_SUM(score, head_dim, q[i] * edgeslm_from_half(keys[i]));
    if (p == 0 || score > greatest) greatest = score;
    scores[p] = score;
  }
  return greatest;
}

static void weighted_f16(float *y, const float *weights, const uint16_t *values, float factor, uint32_t count,
                         uint32_t head_dim) {
  for (uint32_t i = 0; i < head_dim; i++) {
    float total = weights[0] * edgeslm_from_half(values[i]);
    for (uint32_t p = 1; p < count; p++) total += weights[p] * edgeslm_from_half(values[p * head_dim + i]);
    y[i] = total * factor;
  }
}

/* Scores and their greatest, which stays the greatest: tanh rises. */
static inline float cap(float *scores, float greatest, uint32_t count, float limit) {
  edgeslm_soft_cap(scores, limit, count);
  edgeslm_soft_cap(&greatest, limit, 1u);
  return greatest;
}

EDGESLM_BOTH_KINDS void attend(float *y, float *q, const void *keys, const void *values, float *scores,
                               const edgeslm_attention_shape *shape, uint32_t first, uint32_t end, int capped) {
  uint32_t head_dim = EDGESLM_HEAD_DIM_OF(shape->head_dim), format = EDGESLM_CACHE_OF(shape), count = end - first;
  uint32_t shared = (uint32_t)shape->heads / shape->kv_heads, left = 0, row = first;
  edgeslm_scale(q, shape->score_scale, shape->heads * head_dim);
  for (uint32_t head = 0; head < shape->heads; head++, q += head_dim, y += head_dim) {
    if (left == 0) { /* the next head of the cache */
      if (head) row += shape->context;
      left = shared;
    }
    left--;
    uint32_t place = row * head_dim;
    float greatest;
    if (format == EDGESLM_CACHE_FLOAT32) {
      greatest = edgeslm_scores_f32(scores, q, (const float *)keys + place, count, head_dim);
    } else if (format == EDGESLM_CACHE_FLOAT16) {
      greatest = scores_f16(scores, q, (const uint16_t *)keys + place, count, head_dim);
    } else {
      const float *scales = edgeslm_cache_scales(keys, shape) + row;
      greatest = edgeslm_scores_i8(scores, q, (const int8_t *)keys + place, scales, count, head_dim);
    }
    if (capped) greatest = cap(scores, greatest, count, shape->score_cap);
    float factor = 1.0f / edgeslm_exp2_row(scores, greatest, count);
    if (format == EDGESLM_CACHE_FLOAT32) {
      edgeslm_weighted_f32(y, scores, (const float *)values + place, factor, count, head_dim);
    } else if (format == EDGESLM_CACHE_FLOAT16) {
      weighted_f16(y, scores, (const uint16_t *)values + place, factor, count, head_dim);
    } else {
      const float *scales = edgeslm_cache_scales(values, shape) + row;
      edgeslm_weighted_i8(y, scores, (const int8_t *)values + place, scales, factor, count, head_dim);
    }
  }
}

#endif

void edgeslm_attention(edgeslm_real *y, edgeslm_real *q, const void *keys, const void *values, edgeslm_real *scores,
                       const edgeslm_attention_shape *shape, uint32_t first, uint32_t end) {
  attend(y, q, keys, values, scores, shape, first, end, 0);
}

void edgeslm_capped_attention(edgeslm_real *y, edgeslm_real *q, const void *keys, const void *values,
                              edgeslm_real *scores, const edgeslm_attention_shape *shape, uint32_t first,
                              uint32_t end) {
  attend(y, q, keys, values, scores, shape, first, end, 1);
}
