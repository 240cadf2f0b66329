/* Elements moved from strides to strides. */
#include "edgeslm_integers.h"

/* Bytes that lie together in both. Words, where that pays. */
static void copy_run(uint8_t *y, const uint8_t *x, uint32_t n) {
#if !EDGESLM_FIXED /* M0+ stops at a word that is not aligned */
  for (; n >= 4u; n -= 4u, x += 4, y += 4) __builtin_memcpy(y, x, 4);
#endif
  while (n--) *y++ = *x++;
}

static void copy_apart(uint8_t *y, const uint8_t *x, uint32_t n, int32_t y_step, int32_t x_step, uint32_t bytes) {
  if (bytes == 4u) {
    for (; n; n--, x += x_step, y += y_step) *(uint32_t *)(void *)y = *(const uint32_t *)(const void *)x;
  } else {
    for (; n; n--, x += x_step, y += y_step) *y = *x;
  }
}

void edgeslm_copy(void *y, const void *x, const edgeslm_copy_shape *shape) {
  uint32_t n = shape->extents[4], place[4] = {0};
  int32_t size = (int32_t)shape->bytes, x_step = shape->x[4] * size, y_step = shape->y[4] * size;
  uint8_t *to = y;
  const uint8_t *from = x;
  for (;;) {
    if (x_step == size && y_step == size) {
      copy_run(to, from, n * shape->bytes);
    } else {
      copy_apart(to, from, n, y_step, x_step, shape->bytes);
    }
    /* on to the next row; the outermost dimension is the last that is full */
    int32_t dimension = 3;
    for (; dimension >= 0; dimension--) {
      to += shape->y[dimension] * size;
      from += shape->x[dimension] * size;
      if (++place[dimension] < shape->extents[dimension]) break;
      to -= shape->y[dimension] * size * (int32_t)shape->extents[dimension];
      from -= shape->x[dimension] * size * (int32_t)shape->extents[dimension];
      place[dimension] = 0;
    }
    if (dimension < 0) return;
  }
}

void edgeslm_fill_s8(int8_t *y, int32_t value, uint32_t n) {
  while (n--) *y++ = (int8_t)value;
}
