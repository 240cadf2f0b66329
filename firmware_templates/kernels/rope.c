/* Rotary positions (Su et al., RoFormer, 2021), in halves as in Hugging Face's Llama. */
#include "fixed.h"
#include "kernel_cores.h"
#include "real.h"

#if !EDGESLM_FIXED

/* Cosine and sine, for |angle| < 12000: the nearest quarter turn is taken off in three parts, of which a multiple is
 * exact, then polynomials within ±π/4 (least squares; error below 1e-7). */
static void turn(float angle, float *cosine, float *sine) {
  float rounded = angle * 0.636619772f + 12582912.0f; /* low bits: the quarter */
  float quarters = rounded - 12582912.0f;
  float rest = ((angle - quarters * 1.5703125f) - quarters * 4.8375129699707031e-4f) - quarters * 7.5497899549e-8f;
  float square = rest * rest;
  float s = rest + rest * square * (-0.16666664f + square * (0.008332737f + square * -0.00019585453f));
  float c = 1.0f - 0.5f * square +
            square * square * (0.041666664f + square * (-0.001388826f + square * 2.4541418e-05f));
  uint32_t quarter = edgeslm_bits(rounded);
  float swapped_c = quarter & 1u ? s : c, swapped_s = quarter & 1u ? c : s;
  *cosine = (quarter + 1u) & 2u ? -swapped_c : swapped_c;
  *sine = quarter & 2u ? -swapped_s : swapped_s;
}

void edgeslm_rope_angles(float *angles, const float *frequencies, uint32_t half, uint32_t position) {
  for (uint32_t i = 0; i < half; i++) turn((float)position * frequencies[i], &angles[i], &angles[half + i]);
}

void edgeslm_rope(float *x, const float *angles, uint32_t heads, uint32_t head_dim, uint32_t half) {
  for (uint32_t head = 0; head < heads; head++, x += head_dim) {
    uint32_t done = 0;
#if EDGESLM_ASM_ROWS
    done = EDGESLM_FOURS_OF(half);
    if (EDGESLM_FOURS || done) edgeslm_rope_fours(x, x + half, angles, angles + half, done);
#endif
    for (uint32_t i = done; i < half; i++) {
      float cosine = angles[i], sine = angles[half + i], a = x[i], b = x[half + i];
      x[i] = a * cosine - b * sine;
      x[half + i] = b * cosine + a * sine;
    }
  }
}

#else

static int32_t product(int32_t a, int32_t b) { return (int32_t)(((int64_t)a * b) >> 30); }

/* The same polynomials with 30 fractional bits; `phase` is a fraction of a turn with 32. */
static void turn(uint32_t phase, int32_t *cosine, int32_t *sine) {
  uint32_t quarter = (phase + 0x20000000u) >> 30;
  int32_t rest = product((int32_t)(phase - (quarter << 30)), 1686629713); /* π/2: radians */
  int32_t square = product(rest, rest);
  int32_t s = product(product(-210297, square) + 8947208, square) - 178956949;
  int32_t c = product(product(26351, square) - 1491241, square) + 44739240;
  s = rest + product(rest, product(s, square));
  c = 1073741823 - square / 2 + product(product(c, square), square);
  int32_t swapped_c = quarter & 1u ? s : c, swapped_s = quarter & 1u ? c : s;
  *cosine = (quarter + 1u) & 2u ? -swapped_c : swapped_c;
  *sine = quarter & 2u ? -swapped_s : swapped_s;
}

void edgeslm_rope_angles(int32_t *angles, const uint32_t *frequencies, uint32_t half, uint32_t position) {
  for (uint32_t i = 0; i < half; i++) turn(position * frequencies[i], &angles[i], &angles[half + i]);
}

void edgeslm_rope(int32_t *x, const int32_t *angles, uint32_t heads, uint32_t head_dim, uint32_t half) {
  for (uint32_t head = 0; head < heads; head++, x += head_dim)
    for (uint32_t i = 0; i < half; i++) {
      int64_t cosine = angles[i], sine = angles[half + i], a = x[i], b = x[half + i];
      x[i] = edgeslm_saturate(edgeslm_shift(a * cosine - b * sine, 30u));
      x[half + i] = edgeslm_saturate(edgeslm_shift(b * cosine + a * sine, 30u));
    }
}

#endif
