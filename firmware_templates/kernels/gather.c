/* Elements by their places. */
#include "edgeslm_integers.h"

int edgeslm_gather(void *y, const void *x, const int32_t *ids, uint32_t outer, uint32_t count, uint32_t extent,
                   uint32_t bytes) {
  uint8_t *to = y;
  const uint8_t *from = x;
  for (uint32_t i = 0; i < outer; i++, from += extent * bytes) {
    for (uint32_t j = 0; j < count; j++) {
      if (ids[j] < 0 || (uint32_t)ids[j] >= extent) return 0;
      const uint8_t *element = from + (uint32_t)ids[j] * bytes;
      for (uint32_t k = 0; k < bytes; k++) *to++ = element[k];
    }
  }
  return 1;
}
