/* Products of two matrices that are both computed, or that have no packed form. */
#include "integer_cores.h"

#define ANY (EDGESLM_NET_MATMUL_ANY || EDGESLM_NET_MATMUL_BIAS)

static inline int8_t finish(int32_t sum, uint32_t column, const edgeslm_matmul_shape *shape) {
  return edgeslm_within(edgeslm_scaled(sum, EDGESLM_NET_MATMUL_BIAS && shape->each ? shape->each[column] : shape->by), &shape->out);
}

#if EDGESLM_DSP

/* n numbers less their zero point as halfwords, filled up to fours with zeros. Fours of two rows take turns; of each four,
 * the second and the third change places, in both operands. */
static void widen(int16_t *to, const int8_t *x, int32_t step, int32_t zero, uint32_t n) {
  uint32_t zeros = ((uint32_t)zero & 0xffffu) * 0x10001u, *words = (uint32_t *)(void *)to, i = 0;
  if (step == 1) {
    for (; i + 4u <= n; i += 4u) {
      uint32_t four;
      __builtin_memcpy(&four, x + i, 4);
      words[0] = (uint32_t)__ssub16(__sxtb16((int8x4_t)four), (int16x2_t)zeros);
      words[1] = (uint32_t)__ssub16(__sxtb16((int8x4_t)(four >> 8 | four << 24)), (int16x2_t)zeros);
      words += 4;
    }
  } else {
    for (; i + 4u <= n; i += 4u, x += 3 * step) {
      const int8_t *second = x + step, *third = second + step;
      int32_t even = (x[0] - zero) & 0xffff, odd = (*second - zero) & 0xffff;
      x += step;
      words[0] = (uint32_t)even | (uint32_t)(*third - zero) << 16;
      words[1] = (uint32_t)odd | (uint32_t)(third[step] - zero) << 16;
      words += 4;
    }
  }
  if (i == n) return;
  words[0] = words[1] = 0;
  to = (int16_t *)(void *)words;
  x += step == 1 ? i : 0;
  for (uint32_t j = 0; i + j < n; j++, x += step) to[(j & 1u) << 1 | j >> 1] = (int16_t)(*x - zero);
}

static void one_batch(int8_t *y, const int8_t *a, const int8_t *b, const int32_t *bias, void *scratch,
                      const edgeslm_matmul_shape *shape) {
  uint32_t wide = (shape->terms + 3u) & ~3u, rows = shape->rows, columns = shape->columns;
  int16_t *pair = scratch, *wide_rows = pair + 2u * wide;
  int is_cut = shape->out.low > -128 || shape->out.high < 127;
  int is_fast = !ANY || (!shape->each && !bias && !is_cut && edgeslm_is_short(shape->by));
  edgeslm_short way = {0};
  if (is_fast) way = edgeslm_shorten(shape->by, shape->out.zero_point);
  for (uint32_t row = 0; row < rows; row++, a += shape->a_row) {
    widen(wide_rows + (row >> 1) * 2u * wide + (row & 1u) * 4u, a, shape->a_term, shape->a_zero, shape->terms);
  }
  for (uint32_t column = 0; column < columns; column += 2u) {
    uint32_t two = columns - column > 1u;
    for (uint32_t i = 0; i <= two; i++, b += shape->b_column) {
      widen(pair + i * 4u, b, shape->b_term, shape->b_zero, shape->terms);
    }
    int8_t *to = y + column;
    const int16_t *from = wide_rows, *end = from + 2u * wide;
    for (uint32_t row = 0; row < rows; row += 2u, from = end, end += 2u * wide) {
      int32_t sums[4];
      edgeslm_two_by_two(sums, from, pair, end);
      if (!ANY || (is_fast && two && row + 1u < rows)) {
        to[0] = edgeslm_saturated(edgeslm_shortly(sums[0] * 2, way));
        to[1] = edgeslm_saturated(edgeslm_shortly(sums[1] * 2, way));
        to += shape->y_row;
        to[0] = edgeslm_saturated(edgeslm_shortly(sums[2] * 2, way));
        to[1] = edgeslm_saturated(edgeslm_shortly(sums[3] * 2, way));
        to += shape->y_row;
        continue;
      }
      for (uint32_t i = 0; i < 2u && row + i < rows; i++, to += shape->y_row) {
        for (uint32_t j = 0; j <= two; j++) {
          to[j] = finish(sums[2u * i + j] + (bias ? bias[column + j] : 0), column + j, shape);
        }
      }
    }
  }
}

#elif EDGESLM_MVE

/* n numbers, filled up to sixteens with zeros; sixteens are `apart` from each other. Returns their sum. */
static int32_t gather(int8_t *to, const int8_t *x, int32_t step, uint32_t n, uint32_t apart) {
  uint16x8_t places = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)step);
  int32_t sum = 0;
  for (uint32_t i = 0; i < n; i += 16u, to += apart) {
    if (step == 1) {
      mve_pred16_t some = vctp8q(n - i);
      int8x16_t sixteen = vldrbq_z_s8(x + i, some);
      vstrbq_s8(to, sixteen);
      sum = vaddvaq_s8(sum, sixteen);
    } else {
      for (uint32_t half = 0; half < 16u; half += 8u, x += 8 * step) {
        mve_pred16_t some = vctp16q(i + half < n ? n - i - half : 0u);
        int16x8_t eight = vldrbq_gather_offset_z_s16(x, places, some);
        vstrbq_s16(to + half, eight);
        sum = vaddvaq_s16(sum, eight);
      }
    }
  }
  return sum;
}

/* A row by four columns, whose sixteens take turns. */
static inline int32x4_t by_four(const int8_t *x, const int8_t *four, uint32_t wide, int32x4_t start) {
  int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  const int8_t *end = x + wide;
  do {
    int8x16_t sixteen = vldrbq_s8(x);
    s0 = vmladavaq_s8(s0, sixteen, vldrbq_s8(four));
    s1 = vmladavaq_s8(s1, sixteen, vldrbq_s8(four + 16));
    s2 = vmladavaq_s8(s2, sixteen, vldrbq_s8(four + 32));
    s3 = vmladavaq_s8(s3, sixteen, vldrbq_s8(four + 48));
    x += 16;
    four += 64;
  } while (x != end);
  int32x4_t sums = vsetq_lane_s32(s0, start, 0);
  sums = vsetq_lane_s32(s1, sums, 1);
  sums = vsetq_lane_s32(s2, sums, 2);
  return vaddq_s32(vsetq_lane_s32(s3, sums, 3), start);
}

static void one_batch(int8_t *y, const int8_t *a, const int8_t *b, const int32_t *bias, void *scratch,
                      const edgeslm_matmul_shape *shape) {
  uint32_t terms = shape->terms, wide = (terms + 15u) & ~15u, rows = shape->rows, columns = shape->columns;
  int32_t *row_sums = scratch, b_zero = shape->b_zero;
  int8_t *four = (int8_t *)(row_sums + rows), *dense_rows = four + 4u * wide;
  int is_short = !ANY || (!shape->each && !bias && edgeslm_is_short(shape->by));
  edgeslm_short way = {0};
  if (is_short) way = edgeslm_shorten(shape->by, shape->out.zero_point);
  for (uint32_t row = 0; row < rows; row++, a += shape->a_row) {
    row_sums[row] = gather(dense_rows + row * wide, a, shape->a_term, terms, 16u) * -b_zero;
  }
  int32x4_t low = vdupq_n_s32(shape->out.low), high = vdupq_n_s32(shape->out.high);
  int32_t y_row = shape->y_row;
  for (uint32_t column = 0; column < columns; column += 4u, y += 4) {
    mve_pred16_t some = vctp32q(columns - column);
    int32_t starts[4] = {0, 0, 0, 0};
    for (uint32_t i = 0; i < 4u && column + i < columns; i++, b += shape->b_column) {
      int32_t sum = gather(four + i * 16u, b, shape->b_term, terms, 64u);
      starts[i] = (bias ? bias[column + i] : 0) + ((int32_t)terms * b_zero - sum) * shape->a_zero;
    }
    int32x4_t start = vldrwq_s32(starts);
    const int8_t *x = dense_rows;
    const int32_t *row_sum = row_sums, *end = row_sums + rows;
    int8_t *to = y;
    if (is_short) {
      for (; row_sum != end; row_sum++, x += wide, to += y_row) {
        int32x4_t sums = vaddq_n_s32(by_four(x, four, wide, start), *row_sum);
        sums = vaddq_n_s32(edgeslm_shortly_four(sums, way), way.zero);
        vstrbq_p_s32(to, vmaxq_s32(vminq_s32(sums, high), low), some);
      }
    } else {
      for (; row_sum != end; row_sum++, x += wide, to += y_row) {
        int32_t each[4];
        vstrwq_s32(each, vaddq_n_s32(by_four(x, four, wide, start), *row_sum));
        for (uint32_t i = 0; i < 4u && column + i < columns; i++) to[i] = finish(each[i], column + i, shape);
      }
    }
  }
}

#else

static void one_batch(int8_t *y, const int8_t *a, const int8_t *b, const int32_t *bias, void *scratch,
                      const edgeslm_matmul_shape *shape) {
  (void)scratch;
  for (uint32_t row = 0; row < shape->rows; row++, a += shape->a_row, y += shape->y_row) {
    const int8_t *first = b;
    for (uint32_t column = 0; column < shape->columns; column++, first += shape->b_column) {
      const int8_t *left = a, *right = first;
      int32_t sum = bias ? bias[column] : 0;
      for (uint32_t term = 0; term < shape->terms; term++, left += shape->a_term, right += shape->b_term) {
        sum += (*left - shape->a_zero) * (*right - shape->b_zero);
      }
      y[column] = finish(sum, column, shape);
    }
  }
}

#endif

void edgeslm_matmul_s8(int8_t *y, const int8_t *a, const int8_t *b, const int32_t *bias, void *scratch,
                       const edgeslm_matmul_shape *shape) {
  for (uint32_t batch = 0; batch < shape->batch; batch++) {
    one_batch(y, a, b, bias, scratch, shape);
    a += shape->a_batch;
    b += shape->b_batch;
    y += shape->y_batch;
  }
}
