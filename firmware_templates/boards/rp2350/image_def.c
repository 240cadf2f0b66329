/* What RP2350's ROM looks for in the first 4 KiB of flash (data sheet 5.1.5, 5.9): a block that says "an image for Arm
 * cores, secure, for this chip". It begins the image by the vector table at the start of flash, and has made flash
 * readable as memory before. */
#include <stdint.h>

#define IMAGE (1u | 2u << 4 | 0u << 8 | 1u << 12) /* executable, secure, Arm, RP2350 */

__attribute__((section(".image_def"), used)) static const uint32_t image_def[] = {
    0xffffded3u,                  /* a block begins */
    0x42u | 1u << 8 | IMAGE << 16, /* item: the image's type, of one word */
    0xffu | 1u << 8,              /* the last item: one word of items lies before it */
    0u,                           /* to the next block: this is the only one */
    0xab123579u,                  /* a block ends */
};
