/* Rows by a packed matrix. */
#include "block_i8.h"
#include "integer_cores.h"

#if !EDGESLM_DSP && !EDGESLM_MVE

void edgeslm_linear_one(int8_t *y, const void *matrix, const edgeslm_activation *x, uint32_t rows,
                        edgeslm_linear_plan *plan) {
  const int32_t *factors = plan->factors;
  const uint8_t *block = matrix;
  for (uint32_t row = 0; row < rows; row += 4u, block += plan->block_bytes) {
    const int32_t *start = (const void *)block;
    int32_t sums[4];
    edgeslm_block_i8(sums, block + plan->head_bytes, x, plan->columns);
    for (uint32_t i = 0; i < 4u; i++) {
#if EDGESLM_LAYOUT == EDGESLM_LAYOUT_VECTORS
      int32_t twice = (sums[i] + start[i]) * 2;
      edgeslm_multiplier by = {factors[i], factors[4u + i]};
#else
      int32_t twice = sums[i] * 2 + start[i];
      edgeslm_multiplier by = {factors[i], -factors[4u + i]};
#endif
      edgeslm_short way = edgeslm_shorten(by, plan->zero);
      int32_t value = edgeslm_shortly(twice, way);
      y[row + i] = (int8_t)(value < plan->low ? plan->low : value > plan->high ? plan->high : value);
    }
    factors += plan->factors_step;
  }
}

#endif

#if EDGESLM_LAYOUT == EDGESLM_LAYOUT_PAIRS

/* A row of x as halfwords, and its sum. Fours of columns are `apart` words from each other. */
static int32_t widen(int16_t *to, const int8_t *x, uint32_t n, uint32_t apart) {
  int32_t sum = 0;
  uint32_t *words = (uint32_t *)(void *)to;
  for (; n >= 4u; n -= 4u, x += 4, words += apart) {
#if EDGESLM_DSP
    uint32_t bytes;
    __builtin_memcpy(&bytes, x, 4);
    uint32_t even = (uint32_t)__sxtb16((int8x4_t)bytes);
    uint32_t odd = (uint32_t)__sxtb16((int8x4_t)(bytes >> 8 | bytes << 24));
    words[0] = (even & 0xffffu) | odd << 16;
    words[1] = even >> 16 | (odd & 0xffff0000u);
    sum = __smlad((int16x2_t)even, 0x00010001, sum);
    sum = __smlad((int16x2_t)odd, 0x00010001, sum);
#else
    for (uint32_t i = 0; i < 4u; i++) sum += ((int16_t *)(void *)words)[i] = x[i];
#endif
  }
  if (EDGESLM_NET_COLUMN_TAILS && n) {
    words[0] = words[1] = 0;
    for (uint32_t i = 0; i < n; i++) sum += ((int16_t *)(void *)words)[i] = x[i];
  }
  return sum;
}

#elif EDGESLM_LAYOUT == EDGESLM_LAYOUT_VECTORS

static void fill_up(int8_t *to, const int8_t *x, uint32_t n) {
  for (uint32_t i = 0; i < EDGESLM_PADDED(n); i++) to[i] = i < n ? x[i] : 0;
}

#endif

#if EDGESLM_DSP
#define MOST_COLUMNS 512u /* odd rows' sums have 23 bits */
#elif EDGESLM_MVE
#define MOST_COLUMNS UINT32_MAX
#else
#define MOST_COLUMNS 0u
#endif

#define TWO ((EDGESLM_DSP || EDGESLM_MVE) && EDGESLM_NET_MOST_ROWS > 1)
#define ONE (!TWO || EDGESLM_NET_ODD_ROWS || EDGESLM_NET_LONGEST > MOST_COLUMNS)

#if ONE
/* x as blocks read it. */
static const edgeslm_activation *ready(const int8_t *x, void *scratch, edgeslm_linear_plan *plan) {
#if EDGESLM_LAYOUT == EDGESLM_LAYOUT_PAIRS
  plan->corrections[0] = widen(scratch, x, plan->columns, 2u) * -128;
  return scratch;
#elif EDGESLM_LAYOUT == EDGESLM_LAYOUT_VECTORS
  if (!EDGESLM_NET_COLUMN_TAILS || plan->columns % 16u == 0) return x;
  fill_up(scratch, x, plan->columns);
  return scratch;
#else
  (void)scratch;
  (void)plan;
  return x;
#endif
}
#endif

#if TWO
static const edgeslm_activation *two_ready(const int8_t *x, void *scratch, edgeslm_linear_plan *plan) {
  uint32_t columns = plan->columns;
#if EDGESLM_DSP
  plan->corrections[0] = widen(scratch, x, columns, 4u) * -128;
  plan->corrections[1] = widen((int16_t *)scratch + 4, x + columns, columns, 4u) * -128;
#else
  if (!EDGESLM_NET_COLUMN_TAILS || columns % 16u == 0) return x;
  fill_up(scratch, x, columns);
  fill_up((int8_t *)scratch + EDGESLM_PADDED(columns), x + columns, columns);
#endif
  return scratch;
}
#endif

void edgeslm_linear_s8(int8_t *y, const void *matrix, const int8_t *x, void *scratch,
                       const edgeslm_linear_shape *shape) {
  int32_t one_factor[8], shift = shape->by.shift;
  uint32_t rows = shape->rows, whole = rows & ~3u, columns = shape->columns, count = shape->count;
  edgeslm_linear_plan plan = {.columns = columns,
                              .head_bytes = 16,
                              .zero = shape->out.zero_point,
                              .low = shape->out.low,
                              .high = shape->out.high};
  for (uint32_t i = 0; i < 4u; i++) {
    one_factor[i] = shape->by.mantissa;
    one_factor[4u + i] = EDGESLM_LAYOUT == EDGESLM_LAYOUT_VECTORS ? shift : -shift;
  }
  plan.factors = one_factor;
  if (EDGESLM_NET_EACH && (EDGESLM_NET_EACH == 1 || shape->by.mantissa == 0)) {
    plan.head_bytes = 48;
    plan.factors = (const int32_t *)matrix + 4;
  }
  plan.block_bytes = edgeslm_block_bytes_i8(columns, plan.head_bytes);
  if (EDGESLM_NET_EACH && plan.head_bytes == 48) plan.factors_step = plan.block_bytes / 4u;
  const uint8_t *last_block = (const uint8_t *)matrix + whole / 4u * plan.block_bytes;
  const int32_t *first_factors = plan.factors;
  const int32_t *last_factors = first_factors + whole / 4u * plan.factors_step;
  int8_t last[8];
#if TWO
  for (; count > 1u && (EDGESLM_NET_LONGEST <= MOST_COLUMNS || columns <= MOST_COLUMNS); count -= 2u, x += 2u * columns, y += 2u * rows) {
    const edgeslm_activation *values = two_ready(x, scratch, &plan);
    plan.factors = first_factors;
    plan.y_step = rows;
    if (whole) edgeslm_linear_two(y, matrix, values, whole, &plan);
    if (!EDGESLM_NET_ROW_TAILS || rows == whole) continue;
    plan.factors = last_factors;
    plan.y_step = 4;
    edgeslm_linear_two(last, last_block, values, 4u, &plan);
    for (uint32_t i = 0; i < rows - whole; i++) {
      y[whole + i] = last[i];
      y[rows + whole + i] = last[4u + i];
    }
  }
#endif
#if ONE
  for (; count; count--, x += columns, y += rows) {
    const edgeslm_activation *values = ready(x, scratch, &plan);
    plan.factors = first_factors;
    if (whole) edgeslm_linear_one(y, matrix, values, whole, &plan);
    if (!EDGESLM_NET_ROW_TAILS || rows == whole) continue;
    /* the last block is only partly used */
    plan.factors = last_factors;
    edgeslm_linear_one(last, last_block, values, 4u, &plan);
    for (uint32_t i = 0; i < rows - whole; i++) y[whole + i] = last[i];
  }
#endif
}
