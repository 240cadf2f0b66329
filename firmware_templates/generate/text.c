#include "text.h"

#include "edgeslm_model.h"
#include "model_tokenizer.h"
#include "tokenizer.h"

_Static_assert(EDGESLM_TEXT_TOO_LONG == EDGESLM_TOKENIZER_TOO_LONG, "text.h says what the tokenizer returns");

static edgeslm_tokenizer tokenizer;
static edgeslm_tokenizer_decoder decoder;
static char piece[EDGESLM_MODEL_TEXT_BYTES];

/* The table is checked once. */
static int open_table(void) {
  if (tokenizer.tokens) return 0;
  return edgeslm_tokenizer_open(&tokenizer, edgeslm_model_tokenizer, edgeslm_model_tokenizer_bytes);
}

int32_t edgeslm_text_enter(uint32_t *ids, uint32_t most, const char *text, uint32_t bytes) {
  int status = open_table();
  if (status) return status;
#if !EDGESLM_MODEL_ENCODER
  if (bytes == 0) return 0; /* no text is no word: an answer begins with the token that begins all */
#endif
  /* What the state holds of the last text is not needed any more. */
  return edgeslm_tokenizer_encode(&tokenizer, text, bytes, &edgeslm_model_state, EDGESLM_TEXT_WORK, ids, most);
}

void edgeslm_text_begin(void) {
  open_table();
  edgeslm_tokenizer_decode_begin(&decoder, &tokenizer, 1);
}

static uint32_t given(int32_t bytes, const char **text) {
  *text = piece;
  return bytes < 0 ? 0u : (uint32_t)bytes;
}

uint32_t edgeslm_text_next(uint32_t token, const char **text) {
  return given(edgeslm_tokenizer_decode(&decoder, token, piece, sizeof piece), text);
}

uint32_t edgeslm_text_end(const char **text) {
  return given(edgeslm_tokenizer_decode_end(&decoder, piece, sizeof piece), text);
}
