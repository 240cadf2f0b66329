/* Word pieces: the longest token that a word begins with, then the longest that goes on; or the word is unknown. */
#include "parts.h"

#if EDGESLM_TOKENIZER_WORDPIECE

void edgeslm_wordpiece(edgeslm_encoding *encoding, const edgeslm_piece *word) {
  const edgeslm_tokenizer *tokenizer = encoding->tokenizer;
  const edgeslm_model_record *model = edgeslm_model_of(tokenizer);
  const edgeslm_span prefix = edgeslm_token_text(tokenizer, model->prefix);
  uint32_t characters = 0, before = encoding->count, room = (uint32_t)(encoding->end - word->base);
  for (const uint8_t *from = word->text; from < word->text + word->bytes; characters++)
    edgeslm_utf8_next(&from, word->text + word->bytes);
  if (prefix.bytes > room || word->bytes > room - prefix.bytes) {
    encoding->problem = EDGESLM_TOKENIZER_TOO_LONG;
    return;
  }
  edgeslm_rewrite moved;
  edgeslm_rewrite_begin(&moved, word->base, encoding->end, word->text, word->bytes);
  uint8_t *text = encoding->end - word->bytes, *start = text;
  while (start < encoding->end && characters <= model->longest) {
    uint8_t *key = start, *end = encoding->end;
    if (start > text) {
      /* What was found is not read again: the prefix goes over it. */
      key -= prefix.bytes;
      for (uint32_t i = 0; i < prefix.bytes; i++) key[i] = prefix.text[i];
    }
    uint32_t id = EDGESLM_NONE;
    while (end > start && (id = edgeslm_token_find(tokenizer, key, (uint32_t)(end - key))) == EDGESLM_NONE) {
      do end--;
      while (end > start && (*end & 0xc0u) == 0x80u);
    }
    if (end == start) break;
    edgeslm_encoding_emit(encoding, id);
    start = end;
  }
  if (start < encoding->end) {
    encoding->count = before;
    if (model->unknown >= tokenizer->tokens) encoding->problem = EDGESLM_TOKENIZER_DAMAGED;
    edgeslm_encoding_emit(encoding, model->unknown);
  }
}

#endif
