/* sample: sizes. Written by edgeslm. */
#ifndef EDGESLM_MODEL_CONFIG_H
#define EDGESLM_MODEL_CONFIG_H

#define EDGESLM_MODEL_VOCABULARY 97u /* tokens */
#define EDGESLM_MODEL_LAYERS 2u
#define EDGESLM_MODEL_CONTEXT 32u /* positions */
#define EDGESLM_MODEL_CACHE_BYTES 512u /* keys of a layer, or values */
#define EDGESLM_MODEL_ARENA_BYTES 424u /* live set 424 */
#define EDGESLM_CACHE EDGESLM_CACHE_FLOAT32 /* kernels are compiled for this format alone */

/* What kernels need not provide for; edgeslm_kernels.h explains. */
#define EDGESLM_HEAD_DIM 4
#define EDGESLM_LONGEST 12
#define EDGESLM_BIASES 0
#define EDGESLM_INT4 0

#endif
