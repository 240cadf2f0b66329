/* The table that edgeslm_softmax_s8 reads, computed instead of kept: 250 bytes of code in the place of 1 KB. */
#ifndef EDGESLM_POWERS_H
#define EDGESLM_POWERS_H

#include <stdint.h>

/* powers (length): 2^31 * exp(-i * mantissa / 2^31 * 2^shift / 2^26), as TensorFlow Lite Micro's fixed point has it; 0
 * for i > end, and for what is less than 2^11. The shift is not negative. */
void edgeslm_powers(int32_t *powers, int32_t mantissa, uint32_t shift, uint32_t end, uint32_t length);

#endif
