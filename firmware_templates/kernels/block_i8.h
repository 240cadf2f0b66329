/* The integer sums of four rows by one vector, for every layout: what the assembly cores do, in C. */
#ifndef EDGESLM_BLOCK_I8_H
#define EDGESLM_BLOCK_I8_H

#include "layout.h"

static inline void edgeslm_block_i8(int32_t sums[4], const uint8_t *weights, const edgeslm_activation *x,
                                    uint32_t columns) {
  int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
#if EDGESLM_LAYOUT == EDGESLM_LAYOUT_PAIRS
  uint32_t padded = EDGESLM_PADDED(columns);
  for (uint32_t start = 0; start < padded; start += 8u) {
    uint32_t run = padded - start < 8u ? padded - start : 8u;
    for (uint32_t column = 0; column < run; column++, x++, weights += 2) {
      sum0 += ((int32_t)weights[0] - 128) * *x;
      sum1 += (int8_t)weights[1] * *x;
      sum2 += ((int32_t)weights[2u * run] - 128) * *x;
      sum3 += (int8_t)weights[2u * run + 1u] * *x;
    }
    weights += 2u * run;
  }
#elif EDGESLM_LAYOUT == EDGESLM_LAYOUT_VECTORS
  for (uint32_t start = 0; start < columns; start += 16u) {
    uint32_t run = columns - start < 16u ? columns - start : 16u;
    for (uint32_t column = 0; column < run; column++, x++, weights++) {
      sum0 += (int8_t)weights[0] * *x;
      sum1 += (int8_t)weights[run] * *x;
      sum2 += (int8_t)weights[2u * run] * *x;
      sum3 += (int8_t)weights[3u * run] * *x;
    }
    weights += 3u * run;
  }
#else
  for (uint32_t column = 0; column < columns; column++, x++, weights++) {
    sum0 += (int8_t)weights[0] * *x;
    sum1 += (int8_t)weights[columns] * *x;
    sum2 += (int8_t)weights[2u * columns] * *x;
    sum3 += (int8_t)weights[3u * columns] * *x;
  }
#endif
  sums[0] = sum0;
  sums[1] = sum1;
  sums[2] = sum2;
  sums[3] = sum3;
}

#endif
