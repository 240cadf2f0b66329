/* A model that is none: its next token follows from the last one and the position, by arithmetic. */
#ifndef EDGESLM_MODEL_CONFIG_H
#define EDGESLM_MODEL_CONFIG_H

#define EDGESLM_MODEL_VOCABULARY 256u
#define EDGESLM_MODEL_LAYERS 2u
#define EDGESLM_MODEL_CONTEXT 48u
#define EDGESLM_MODEL_CACHE_BYTES 1024u
#define EDGESLM_MODEL_ARENA_BYTES 1024u

#endif
