/* A language model as generated C: three structs (config, weights, state) and one call.
 *
 * The generator writes beside this file, for one checkpoint and one board:
 *   model_config.h     sizes, as macros
 *   model_weights.h    the struct edgeslm_weights, whose fields are called after the checkpoint's tensors
 *   model_weights.c    edgeslm_model_weights: matrices packed for the kernels that read them, in place, in flash
 *   model_schedule.c   edgeslm_model_config, edgeslm_model_state, edgeslm_step: the kernels in order
 *   model_tokenizer.c  edgeslm_model_tokenizer: the table that edgeslm_tokenizer_open reads
 *   model_tokenizer.h  what that table needs of the tokenizer's C: every file of it is compiled with this one included
 */
#ifndef EDGESLM_MODEL_H
#define EDGESLM_MODEL_H

#include "model_config.h" /* first: it says what kernels are compiled for */

#include "edgeslm_kernels.h"

#define EDGESLM_NO_TOKEN 0xffffffffu
#if EDGESLM_MODEL_ENCODER
#include "edgeslm_encoder.h"
#else
#define EDGESLM_MOST_EOS 8u

/* What the model is: in flash. */
typedef struct {
  const char *name;   /* the checkpoint's */
  const char *scheme; /* fp32, int8, int8-static, int4 */
  uint32_t vocabulary, width, layers, heads, kv_heads, head_dim, feed_forward;
  uint32_t context;               /* positions the cache holds: prompt and answer together */
  uint32_t bos;                   /* the token that begins a text, or EDGESLM_NO_TOKEN */
  uint32_t add_bos;               /* 1 if a prompt gets it and the tokenizer does not put it there */
  uint32_t eos_count;             /* tokens that end a text */
  uint32_t eos[EDGESLM_MOST_EOS];
} edgeslm_config;

/* What it learned: in flash; model_weights.h has its fields. */
typedef struct edgeslm_weights edgeslm_weights;

/* What it remembers: in RAM, all of it, and all that a step writes. */
typedef struct {
#if EDGESLM_MODEL_CACHE_BYTES
  /* One layer's rows, laid out as edgeslm_kernels.h says: (kv_heads, context, head_dim) */
  _Alignas(8) uint8_t keys[EDGESLM_MODEL_LAYERS][EDGESLM_MODEL_CACHE_BYTES];
  _Alignas(8) uint8_t values[EDGESLM_MODEL_LAYERS][EDGESLM_MODEL_CACHE_BYTES];
#endif
  /* Activations of one token; model_schedule.c says which lies where and when. */
  _Alignas(8) uint8_t arena[EDGESLM_MODEL_ARENA_BYTES];
  /* Called at the end of each part of a step unless NULL: 0 the embedding, 1 … layers, layers + 1 the head. */
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
  EDGESLM_CONTEXT_FULL = 2   /* position ≥ context */
};

/* Enter one token at `position`. Positions before it have been entered; going back is a smaller position.
 * logits (vocabulary) gets the score of each next token; NULL leaves the output layer out (prefill). */
int edgeslm_step(edgeslm_state *state, uint32_t token, uint32_t position, edgeslm_real *logits);

/* A place for logits that costs no memory of its own: in the arena, until the next step. */
edgeslm_real *edgeslm_logits(edgeslm_state *state);

#endif
#endif
