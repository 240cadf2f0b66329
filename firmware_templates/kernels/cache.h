/* Where a KV cache keeps things. Not for other files. */
#ifndef EDGESLM_CACHE_H
#define EDGESLM_CACHE_H

#include "fixed.h"
#include "kernel_cores.h"
#include "real.h"

/* The format, known to the compiler if the build says so. */
#ifdef EDGESLM_CACHE
#define EDGESLM_CACHE_OF(shape) ((void)(shape), EDGESLM_CACHE)
#else
#define EDGESLM_CACHE_OF(shape) ((uint32_t)(shape)->cache)
#endif

/* Scales of an int8 cache: (kv_heads, context). */
static inline edgeslm_real *edgeslm_cache_scales(const void *cache, const edgeslm_attention_shape *shape) {
  uint32_t elements = (uint32_t)shape->kv_heads * shape->context * shape->head_dim;
  return (edgeslm_real *)(uintptr_t)((const uint8_t *)cache + (elements + 3u) / 4u * 4u);
}

#endif
