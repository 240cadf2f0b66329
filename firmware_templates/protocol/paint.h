/* How much of the arena is used: what is painted and never written was not. As with the stack. */
#ifndef EDGESLM_PAINT_H
#define EDGESLM_PAINT_H

#include "edgeslm_model.h"

#define EDGESLM_PAINT 0xceu

static inline void edgeslm_paint(uint8_t *arena) {
  for (uint32_t i = 0; i < EDGESLM_MODEL_ARENA_BYTES; i++) arena[i] = EDGESLM_PAINT;
}

static inline uint32_t edgeslm_painted_over(const uint8_t *arena) {
  uint32_t end = EDGESLM_MODEL_ARENA_BYTES;
  while (end && arena[end - 1u] == EDGESLM_PAINT) end--;
  return end;
}

#endif
