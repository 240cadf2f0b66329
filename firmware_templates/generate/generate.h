/* An answer to a prompt, token by token: the same rules as edgeslm/device/generate.py. */
#ifndef EDGESLM_GENERATE_H
#define EDGESLM_GENERATE_H

#include "edgeslm_model.h"

typedef struct {
  uint32_t most_tokens;
  uint32_t temperature; /* 16 fractional bits; 0 takes the likeliest token */
  uint32_t seed;        /* the same seed gives the same answer */
} edgeslm_options;

/* Why an answer ended. */
enum { EDGESLM_STOP = 0, EDGESLM_LENGTH = 1, EDGESLM_CONTEXT = 2, EDGESLM_INTERRUPTED = 3 };

/* Why there is none. */
enum {
  EDGESLM_PROMPT_TOO_LONG = 1, /* prompt_tokens against the context: at least one must be left for an answer. 0 tokens:
                                * for the tokenizer's memory */
  EDGESLM_PROMPT_EMPTY = 2,    /* no token, and the model has none that begins a text */
  EDGESLM_PROMPT_DAMAGED = 3   /* no UTF-8, or a token that the model does not have */
};

typedef struct {
  uint32_t prompt_tokens, tokens, reason;
  uint32_t prefill_ticks; /* of the prompt, up to the first logits */
  uint32_t decode_ticks;  /* of all steps after that */
} edgeslm_answer;

/* Called with each token and the text that is certain with it; another value than 0 ends the answer.
 * Text that was held back until the end comes with EDGESLM_NO_TOKEN. */
typedef int (*edgeslm_on_token)(uint32_t index, uint32_t token, const char *text, uint32_t bytes);

/* 0, or why there is no answer. */
uint32_t edgeslm_generate(edgeslm_answer *answer, const char *prompt, uint32_t bytes, const edgeslm_options *options,
                          edgeslm_on_token on_token);

#endif
