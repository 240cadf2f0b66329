/* A dot product of floats in four lanes. */
#include "kernel_cores.h"
#include "real.h"

#if !EDGESLM_FIXED
#if EDGESLM_ASM_ROWS
float edgeslm_dot(const float *a, const float *b, uint32_t n) {
  float total;
  if (EDGESLM_FOURS || (n && n % 4u == 0)) return edgeslm_dot_fours(a, b, n);
  EDGESLM_SUM(total, n, a[i] * b[i]);
  return total;
}
#else
float edgeslm_dot(const float *a, const float *b, uint32_t n) {
  float lane0 = 0.0f, lane1 = 0.0f, lane2 = 0.0f, lane3 = 0.0f;
  uint32_t whole = n & ~3u, i = whole;
  if (whole) {
    lane0 = a[0] * b[0];
    lane1 = a[1] * b[1];
    lane2 = a[2] * b[2];
    lane3 = a[3] * b[3];
    for (i = 4; i < whole; i += 4u) {
      lane0 += a[i] * b[i];
      lane1 += a[i + 1u] * b[i + 1u];
      lane2 += a[i + 2u] * b[i + 2u];
      lane3 += a[i + 3u] * b[i + 3u];
    }
  }
  /* a lane that has no term yet starts here: adding to +0 would lose the sign of a zero */
  float *lanes[3] = {&lane0, &lane1, &lane2};
  for (uint32_t lane = 0; i < n; i++, lane++) *lanes[lane] = whole ? *lanes[lane] + a[i] * b[i] : a[i] * b[i];
  return (lane0 + lane1) + (lane2 + lane3);
}
#endif
#else
typedef int edgeslm_no_dot;
#endif
