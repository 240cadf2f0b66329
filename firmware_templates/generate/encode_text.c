#include "encode_text.h"

#if EDGESLM_MODEL_ENCODER

#include "edgeslm_board.h"
#include "text.h"

static uint32_t ids[EDGESLM_MODEL_CONTEXT];

static uint32_t encode(edgeslm_encoded *encoded) {
  encoded->ids = ids;
  uint32_t start = edgeslm_ticks();
  int status = edgeslm_encode(&edgeslm_model_state, ids, encoded->count);
  encoded->ticks = edgeslm_ticks() - start;
  return status ? EDGESLM_ENCODE_DAMAGED : 0;
}

uint32_t edgeslm_encode_text(edgeslm_encoded *encoded, const char *text, uint32_t bytes) {
  const edgeslm_config *config = &edgeslm_model_config;
  *encoded = (edgeslm_encoded){0};
  int32_t count = edgeslm_text_enter(ids, EDGESLM_MODEL_CONTEXT, text, bytes);
  if (count < 0) return count == EDGESLM_TEXT_TOO_LONG ? EDGESLM_ENCODE_TOO_LONG : EDGESLM_ENCODE_DAMAGED;
  encoded->count = (uint32_t)count;
  if (encoded->count > EDGESLM_MODEL_CONTEXT) {
    /* its end is not read, but it ends as every text does */
    encoded->cut = 1;
    encoded->count = EDGESLM_MODEL_CONTEXT;
    for (uint32_t i = 0; i < config->after_count && i < EDGESLM_MODEL_CONTEXT; i++)
      ids[EDGESLM_MODEL_CONTEXT - 1u - i] = config->after[config->after_count - 1u - i];
  }
  return encode(encoded);
}

uint32_t edgeslm_encode_any(edgeslm_encoded *encoded, uint32_t count) {
  *encoded = (edgeslm_encoded){.count = count};
  if (count > EDGESLM_MODEL_CONTEXT) return EDGESLM_ENCODE_TOO_LONG;
  for (uint32_t i = 0; i < count; i++) ids[i] = (1u + 7u * i) % EDGESLM_MODEL_VOCABULARY;
  return encode(encoded);
}

#else
typedef int edgeslm_no_encoding;
#endif
