/* What kernels that are measured read and write: weights in flash, where a model's are, and everything else in RAM. */
#ifndef EDGESLM_KERNEL_BUFFERS_H
#define EDGESLM_KERNEL_BUFFERS_H

#include <stdint.h>

#include "model_config.h" /* EDGESLM_KERNEL_WEIGHT_BYTES, EDGESLM_MODEL_ARENA_BYTES: multiples of 16, 1024 at least */

/* Bytes of which any two are a normal half float, and any four a normal float; generated. */
extern const uint32_t edgeslm_kernel_weights[EDGESLM_KERNEL_WEIGHT_BYTES / 4u];

#endif
