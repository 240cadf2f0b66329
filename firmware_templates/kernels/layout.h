/* Where a packed matrix keeps its weights: edgeslm_kernels.h draws it. Not for other files. */
#ifndef EDGESLM_LAYOUT_H
#define EDGESLM_LAYOUT_H

#include "edgeslm_kernels.h"

/* Bytes of the head of a block with int8 or float32 weights, and of biases. */
static inline uint32_t edgeslm_bias_bytes(uint32_t mode) { return EDGESLM_BIASES && mode & EDGESLM_BIAS ? 16u : 0u; }

/* Bytes of a block of four rows. */
static inline uint32_t edgeslm_block_bytes_i8(uint32_t columns, uint32_t head) {
#if EDGESLM_LAYOUT == EDGESLM_LAYOUT_PAIRS
  return head + 4u * EDGESLM_PADDED(columns);
#else
  return head + 4u * columns;
#endif
}

static inline uint32_t edgeslm_block_bytes_i4(uint32_t columns, uint32_t group, uint32_t mode) {
  return edgeslm_bias_bytes(mode) + EDGESLM_GROUPS(columns, group) * (8u + 2u * group);
}

static inline uint32_t edgeslm_block_bytes_f32(uint32_t columns, uint32_t mode) {
  return edgeslm_bias_bytes(mode) + 16u * columns;
}

/* Weights of a block come in runs of columns; within one, those of a row are so many bytes apart. */
#if EDGESLM_LAYOUT == EDGESLM_LAYOUT_PAIRS
#define EDGESLM_RUN 8u
#define EDGESLM_APART 2u
#elif EDGESLM_LAYOUT == EDGESLM_LAYOUT_VECTORS
#define EDGESLM_RUN 16u
#define EDGESLM_APART 1u
#else
#define EDGESLM_RUN columns
#define EDGESLM_APART 1u
#endif

/* Where in a run the weights of a row (0 … 3) start. `left`: columns from the run's start to the matrix's end. */
static inline uint32_t edgeslm_place_in_run(uint32_t row, uint32_t left) {
#if EDGESLM_LAYOUT == EDGESLM_LAYOUT_PAIRS
  uint32_t padded = EDGESLM_PADDED(left);
  return (row >> 1) * 2u * (padded < 8u ? padded : 8u) + (row & 1u);
#elif EDGESLM_LAYOUT == EDGESLM_LAYOUT_VECTORS
  return row * (left < 16u ? left : 16u);
#else
  return row * left;
#endif
}

static inline int32_t edgeslm_weight_i8(uint8_t byte, uint32_t row) {
#if EDGESLM_LAYOUT == EDGESLM_LAYOUT_PAIRS
  return row & 1u ? (int8_t)byte : (int32_t)byte - 128;
#else
  (void)row;
  return (int8_t)byte;
#endif
}

/* One weight of a group of a block: `column` counts from the group's start. `weights` points behind its scales. */
static inline int32_t edgeslm_weight_i4(const uint8_t *weights, uint32_t row, uint32_t column, uint32_t group) {
#if EDGESLM_LAYOUT == EDGESLM_LAYOUT_PAIRS
  (void)group;
  uint32_t nibble = (uint32_t)weights[2u * column + (row >> 1)] >> (4u * (row & 1u)) & 15u;
  return row == 3u ? (int32_t)(nibble ^ 8u) - 8 : (int32_t)nibble - 8;
#elif EDGESLM_LAYOUT == EDGESLM_LAYOUT_VECTORS
  uint32_t nibble = (uint32_t)weights[(row >> 1) * group + column] >> (4u * (row & 1u)) & 15u;
  return row & 1u ? (int32_t)(nibble ^ 8u) - 8 : (int32_t)nibble - 8;
#else
  uint32_t nibble = (uint32_t)weights[row * (group / 2u) + column / 2u] >> (4u * (column & 1u)) & 15u;
  return (int32_t)nibble - 8;
#endif
}

#endif
