/* A text encoder as generated C: three structs (config, weights, state) and two calls: read a text, ask for outputs.
 * edgeslm_model.h includes it where model_config.h says EDGESLM_MODEL_ENCODER, and tells which files there are. */
#ifndef EDGESLM_ENCODER_H
#define EDGESLM_ENCODER_H

#include "edgeslm_kernels.h"
#include "model_config.h"

#define EDGESLM_MOST_AFTER 8u

/* What the model is: in flash. */
typedef struct {
  const char *name;   /* the checkpoint's */
  const char *scheme; /* fp32, int8, int4 */
  uint32_t vocabulary, width, layers, heads, head_dim;
  uint32_t context;                   /* tokens of the longest text */
  uint32_t outputs;                   /* numbers of a text, or of each token */
  uint32_t by_token;                  /* 1 if each token has outputs */
  uint32_t after_count;               /* tokens that end every text, also one that is cut */
  uint32_t after[EDGESLM_MOST_AFTER];
} edgeslm_config;

/* What it learned: in flash; model_weights.h has its fields. */
typedef struct edgeslm_weights edgeslm_weights;

/* What it remembers: in RAM, all of it, and all that a text writes. */
typedef struct {
  /* Rows of all tokens, keys and values of one layer, activations of one token; model_schedule.c says which lies where
   * and when. Between texts it is free. */
  _Alignas(8) uint8_t arena[EDGESLM_MODEL_ARENA_BYTES];
  const uint32_t *ids; /* the text that was read last: (count) */
  uint32_t count;
  /* Called at the end of each part unless NULL: 0 the embedding, 1 … layers, layers + 1 the output. */
  void (*mark)(uint32_t part);
} edgeslm_state;

extern const edgeslm_config edgeslm_model_config;
extern const edgeslm_weights edgeslm_model_weights;
extern edgeslm_state edgeslm_model_state;

/* The tokenizer's table, and its size; aligned to 8. */
extern const uint8_t edgeslm_model_tokenizer[];
extern const uint32_t edgeslm_model_tokenizer_bytes;

enum {
  EDGESLM_OK = 0,
  EDGESLM_NO_SUCH_TOKEN = 1, /* token ≥ vocabulary */
  EDGESLM_CONTEXT_FULL = 2   /* no token, or more than context; no such row */
};

/* Read a text: ids (count), which must stay until its outputs are asked for. Nothing is padded. */
int edgeslm_encode(edgeslm_state *state, const uint32_t *ids, uint32_t count);

/* out (outputs) of the text that was read last: of token t where each has outputs, else of the text, t = 0. */
int edgeslm_output(edgeslm_state *state, uint32_t t, edgeslm_real *out);

/* A place for outputs that costs no memory of its own: in the arena, until the next call. */
edgeslm_real *edgeslm_outputs(edgeslm_state *state);

#endif
