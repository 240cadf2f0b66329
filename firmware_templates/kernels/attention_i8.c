/* Attention's inner loops over an int8 cache: queries and weights become integers of 16 bits, so that sums are exact. */
#include "kernel_cores.h"
#include "real.h"

#if !EDGESLM_FIXED

#if EDGESLM_MVE
#include <arm_mve.h>
#endif

/* Integers in the place of the floats they were made of. */
typedef int16_t __attribute__((may_alias)) edgeslm_short;
typedef uint32_t __attribute__((may_alias)) edgeslm_word;

/* What n integers of 16 bits may reach, so that n products with int8 stay below 2^31. */
static float most_of(uint32_t n) { return n <= 512u ? 32767.0f : (float)((1u << 24) / n); }

/* x (n) to integers in its own place, the greatest of which is most_of(n); returns what 1 stands for. */
static float shorten(float *x, uint32_t n) {
  edgeslm_short *values = (edgeslm_short *)x;
  float most = most_of(n);
  uint32_t done = 0;
  uint32_t seen = 0, greatest = 0;
#if EDGESLM_ASM_QUANTIZE
  seen = n & ~3u; /* positions may be any number where all rows are fours */
  if (seen) greatest = edgeslm_greatest(x, seen);
#endif
  for (uint32_t i = seen; i < n; i++) {
    uint32_t magnitude = edgeslm_bits(x[i]) << 1;
    if (magnitude > greatest) greatest = magnitude;
  }
  float limit = edgeslm_float(greatest >> 1), factor = limit > 7.8886091e-31f ? most / limit : 0.0f; /* 2^-100 */
#if EDGESLM_DSP
  done = n & ~3u;
  if (done) edgeslm_quantize_fours(values, x, done, factor);
#elif EDGESLM_MVE
  for (; done + 4u <= n; done += 4u)
    vstrhq_s32((int16_t *)values + done, vcvtnq_s32_f32(vmulq_n_f32(vldrwq_f32(x + done), factor)));
#endif
  for (uint32_t i = done; i < n; i++) values[i] = (int16_t)edgeslm_bits(x[i] * factor + 12582912.0f);
  return factor > 0.0f ? limit / most : 0.0f;
}

#if EDGESLM_DSP

/* Bytes 0 and 2, bytes 1 and 3 of a word, as signed halfwords. */
static inline uint32_t even_bytes(uint32_t word) {
  uint32_t halves;
  __asm__("sxtb16 %0, %1" : "=r"(halves) : "r"(word));
  return halves;
}

static inline uint32_t odd_bytes(uint32_t word) {
  uint32_t halves;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(word));
  return halves;
}

static inline int32_t add_products(uint32_t a, uint32_t b, int32_t sum) {
  __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
  return sum;
}

/* The lower halfwords of two words; their upper ones. */
static inline uint32_t lower(uint32_t a, uint32_t b) {
  uint32_t both;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(both) : "r"(a), "r"(b));
  return both;
}

static inline uint32_t upper(uint32_t a, uint32_t b) {
  uint32_t both;
  __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(both) : "r"(b), "r"(a));
  return both;
}

#endif

/* q (n) as integers by a key; in fours of (0, 2), (1, 3) for DSP where n is a multiple of 4. */
static inline int32_t dot_of(const edgeslm_short *q, const int8_t *key, uint32_t n) {
  int32_t sum = 0;
#if EDGESLM_DSP
  if (n % 4u == 0) {
    const edgeslm_word *pairs = (const edgeslm_word *)q, *bytes = (const edgeslm_word *)key;
    for (uint32_t i = 0; i < n / 4u; i++, pairs += 2) {
      sum = add_products(even_bytes(bytes[i]), pairs[0], sum);
      sum = add_products(odd_bytes(bytes[i]), pairs[1], sum);
    }
    return sum;
  }
#elif EDGESLM_MVE
  if (n % 8u == 0) {
    for (uint32_t i = 0; i < n; i += 8u)
      sum = vmladavaq_s16(sum, vldrhq_s16((const int16_t *)q + i), vldrbq_s16(key + i));
    return sum;
  }
#endif
  for (uint32_t i = 0; i < n; i++) sum += q[i] * key[i];
  return sum;
}

float edgeslm_scores_i8(float *scores, float *q, const int8_t *keys, const float *scales, uint32_t count,
                        uint32_t head_dim) {
  float step = shorten(q, head_dim), greatest = 0.0f;
  const edgeslm_short *whole = (const edgeslm_short *)q;
#if EDGESLM_DSP
  if (head_dim % 4u == 0) {
    edgeslm_word *pairs = (edgeslm_word *)q;
    for (uint32_t i = 0; i < head_dim / 2u; i += 2u) {
      uint32_t first = pairs[i], second = pairs[i + 1u];
      pairs[i] = lower(first, second);
      pairs[i + 1u] = upper(first, second);
    }
  }
#endif
  for (uint32_t p = 0; p < count; p++, keys += head_dim) {
    float score = (float)dot_of(whole, keys, head_dim) * (scales[p] * step);
    if (p == 0 || score > greatest) greatest = score;
    scores[p] = score;
  }
  return greatest;
}

void edgeslm_weighted_i8(float *y, float *weights, const int8_t *values, const float *scales, float factor,
                         uint32_t count, uint32_t head_dim) {
  for (uint32_t p = 0; p < count; p++) weights[p] *= scales[p];
  float step = shorten(weights, count) * factor;
  const edgeslm_short *whole = (const edgeslm_short *)weights;
  uint32_t done = 0;
#if EDGESLM_DSP
  /* four columns of two rows at a time */
  for (; head_dim % 4u == 0 && done < head_dim; done += 4u) {
    const edgeslm_word *pairs = (const edgeslm_word *)weights;
    const int8_t *row = values + done;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t left = count / 2u; left; left--, row += 2u * head_dim) {
      uint32_t a = *(const edgeslm_word *)row, b = *(const edgeslm_word *)(row + head_dim), pair = *pairs++;
      uint32_t a02 = even_bytes(a), b02 = even_bytes(b), a13 = odd_bytes(a), b13 = odd_bytes(b);
      s0 = add_products(lower(a02, b02), pair, s0);
      s1 = add_products(lower(a13, b13), pair, s1);
      s2 = add_products(upper(a02, b02), pair, s2);
      s3 = add_products(upper(a13, b13), pair, s3);
    }
    if (count & 1u) {
      int32_t weight = whole[count - 1u];
      s0 += weight * row[0];
      s1 += weight * row[1];
      s2 += weight * row[2];
      s3 += weight * row[3];
    }
    y[done] = (float)s0 * step;
    y[done + 1u] = (float)s1 * step;
    y[done + 2u] = (float)s2 * step;
    y[done + 3u] = (float)s3 * step;
  }
#elif EDGESLM_MVE
  for (; head_dim % 8u == 0 && done < head_dim; done += 8u) {
    int32x4_t first = vdupq_n_s32(0), second = vdupq_n_s32(0);
    const int8_t *row = values + done;
    for (uint32_t p = 0; p < count; p++, row += head_dim) {
      first = vmlaq_n_s32(first, vldrbq_s32(row), whole[p]);
      second = vmlaq_n_s32(second, vldrbq_s32(row + 4), whole[p]);
    }
    vstrwq_f32(y + done, vmulq_n_f32(vcvtq_f32_s32(first), step));
    vstrwq_f32(y + done + 4u, vmulq_n_f32(vcvtq_f32_s32(second), step));
  }
#endif
  for (uint32_t i = done; i < head_dim; i++) {
    int32_t sum = 0;
    for (uint32_t p = 0; p < count; p++) sum += whole[p] * values[p * head_dim + i];
    y[i] = (float)sum * step;
  }
}

#else
typedef int edgeslm_no_attention_i8;
#endif
