/* Scalar units drop tiny numbers as vector units always do. */
#include "edgeslm_kernels.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

void edgeslm_flush_denormals(void) {
#if defined(__SSE__)
  _mm_setcsr(_mm_getcsr() | 0x8040u); /* results, and inputs */
#elif defined(__aarch64__)
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  __asm__ volatile("msr fpcr, %0" : : "r"(control | (uint64_t)1 << 24));
#elif defined(__arm__) && defined(__ARM_FP)
  uint32_t control;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(control));
  __asm__ volatile("vmsr fpscr, %0" : : "r"(control | 1u << 24));
#endif
}
