/* Keys and values of one token into their cache. */
#include "cache.h"

#if EDGESLM_FIXED

void edgeslm_cache_store(void *cache, const int32_t *x, const edgeslm_attention_shape *shape, uint32_t position) {
  uint32_t head_dim = EDGESLM_HEAD_DIM_OF(shape->head_dim);
  for (uint32_t head = 0; head < shape->kv_heads; head++, x += head_dim) {
    uint32_t place = (head * shape->context + position) * head_dim;
    if (EDGESLM_CACHE_OF(shape) == EDGESLM_CACHE_FLOAT32) {
      for (uint32_t i = 0; i < head_dim; i++) ((int32_t *)cache)[place + i] = x[i];
      continue;
    }
    uint32_t greatest = 1;
    for (uint32_t i = 0; i < head_dim; i++) {
      uint32_t magnitude = edgeslm_magnitude(x[i]);
      if (magnitude > greatest) greatest = magnitude;
    }
    uint32_t zeros = edgeslm_zeros(greatest);
    uint32_t factor = UINT32_MAX / (greatest << zeros >> 16) * 127u;
    for (uint32_t i = 0; i < head_dim; i++)
      ((int8_t *)cache)[place + i] = (int8_t)edgeslm_shift((int64_t)x[i] * factor, 48u - zeros);
    edgeslm_cache_scales(cache, shape)[head * shape->context + position] =
        greatest >> 23 ? (int32_t)((greatest >> 7) / 127u * 32768u) : (int32_t)((greatest << 8) / 127u);
  }
}

#else

void edgeslm_cache_store(void *cache, const float *x, const edgeslm_attention_shape *shape, uint32_t position) {
  uint32_t head_dim = EDGESLM_HEAD_DIM_OF(shape->head_dim), format = EDGESLM_CACHE_OF(shape);
  for (uint32_t head = 0; head < shape->kv_heads; head++, x += head_dim) {
    uint32_t place = (head * shape->context + position) * head_dim;
    if (format == EDGESLM_CACHE_FLOAT32) {
      for (uint32_t i = 0; i < head_dim; i++) ((float *)cache)[place + i] = x[i];
    } else if (format == EDGESLM_CACHE_FLOAT16) {
      for (uint32_t i = 0; i < head_dim; i++) ((uint16_t *)cache)[place + i] = edgeslm_to_half(x[i]);
    } else {
      float limit = 0.0f;
      for (uint32_t i = 0; i < head_dim; i++) {
        float magnitude = edgeslm_float(edgeslm_bits(x[i]) & 0x7fffffffu);
        if (magnitude > limit) limit = magnitude;
      }
      float factor = limit > 7.8886091e-31f ? 127.0f / limit : 0.0f; /* 2^-100 */
      for (uint32_t i = 0; i < head_dim; i++)
        ((int8_t *)cache)[place + i] = (int8_t)edgeslm_bits(x[i] * factor + 12582912.0f);
      edgeslm_cache_scales(cache, shape)[head * shape->context + position] = limit / 127.0f;
    }
  }
}

#endif
