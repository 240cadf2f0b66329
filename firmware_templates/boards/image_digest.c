/* Which image this is. All zero as it is compiled: `edgeslm build` writes the digest into the linked image. */
#include "edgeslm_board.h"

__attribute__((section(".image_digest"), used)) const uint32_t edgeslm_image_digest[2] = {0, 0};
