/* A text through an encoder: the tokens that the tokenizer gives, cut as edgeslm/device cuts them. */
#ifndef EDGESLM_ENCODE_TEXT_H
#define EDGESLM_ENCODE_TEXT_H

#include "edgeslm_model.h"

/* Why there is no answer: as edgeslm_generate's. */
enum { EDGESLM_ENCODE_TOO_LONG = 1, EDGESLM_ENCODE_DAMAGED = 3 };

typedef struct {
  const uint32_t *ids; /* (count): until the next text */
  uint32_t count;
  uint32_t cut;   /* 1 where the text has more tokens than the model reads */
  uint32_t ticks; /* of the model, outputs left out */
} edgeslm_encoded;

/* Read a text (bytes, UTF-8); edgeslm_output gives what the model says of it. 0, or why it cannot be. */
uint32_t edgeslm_encode_text(edgeslm_encoded *encoded, const char *text, uint32_t bytes);

/* The same for `count` tokens that no text has: what they cost. */
uint32_t edgeslm_encode_any(edgeslm_encoded *encoded, uint32_t count);

#endif
