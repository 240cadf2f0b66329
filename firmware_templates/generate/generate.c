#include "generate.h"

#if !EDGESLM_MODEL_ENCODER

#include "edgeslm_board.h"
#include "text.h"

static uint32_t ids[EDGESLM_MODEL_CONTEXT]; /* the prompt */

/* ---- The next token ------------------------------------------------------------------------------------------------ */

/* xorshift32 (Marsaglia 2003) */
static uint32_t draw(uint32_t *random) {
  uint32_t x = *random;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *random = x;
}

static edgeslm_real as_real(uint32_t fraction16) {
#if EDGESLM_FIXED
  return (edgeslm_real)fraction16;
#else
  return (edgeslm_real)fraction16 * (1.0f / 65536.0f);
#endif
}

/* 1 / temperature, for a temperature with 16 fractional bits. */
static edgeslm_real inverse(uint32_t temperature) {
#if EDGESLM_FIXED
  uint32_t one = 0xffffffffu / temperature; /* 2^16 / (temperature / 2^16) */
  return (edgeslm_real)(one > 0x7fffffffu ? 0x7fffffffu : one);
#else
  return 65536.0f / (edgeslm_real)temperature;
#endif
}

static uint32_t choose(edgeslm_real *logits, uint32_t temperature, uint32_t *random) {
  uint32_t likeliest = edgeslm_argmax(logits, EDGESLM_MODEL_VOCABULARY);
  if (temperature == 0) return likeliest;
  edgeslm_scale(logits, inverse(temperature), EDGESLM_MODEL_VOCABULARY);
  edgeslm_softmax(logits, EDGESLM_MODEL_VOCABULARY);
  edgeslm_real left = as_real(draw(random) >> 16);
  for (uint32_t token = 0; token < EDGESLM_MODEL_VOCABULARY; token++) {
    left -= logits[token];
    if (left < 0) return token;
  }
  return likeliest;
}

static int ends(uint32_t token) {
  for (uint32_t i = 0; i < edgeslm_model_config.eos_count; i++)
    if (edgeslm_model_config.eos[i] == token) return 1;
  return 0;
}

/* ---- The answer ---------------------------------------------------------------------------------------------------- */

/* Tokens of the prompt in `ids`, the one that begins a text among them; 0, or why it cannot be. */
static uint32_t enter_prompt(edgeslm_answer *answer, const char *prompt, uint32_t bytes) {
  uint32_t first = bytes ? edgeslm_model_config.add_bos : edgeslm_model_config.bos != EDGESLM_NO_TOKEN;
  if (first) ids[0] = edgeslm_model_config.bos;
  int32_t count = edgeslm_text_enter(ids + first, EDGESLM_MODEL_CONTEXT - first, prompt, bytes);
  if (count < 0) return count == EDGESLM_TEXT_TOO_LONG ? EDGESLM_PROMPT_TOO_LONG : EDGESLM_PROMPT_DAMAGED;
  answer->prompt_tokens = first + (uint32_t)count;
  if (answer->prompt_tokens == 0) return EDGESLM_PROMPT_EMPTY;
  return answer->prompt_tokens < EDGESLM_MODEL_CONTEXT ? 0 : EDGESLM_PROMPT_TOO_LONG;
}

uint32_t edgeslm_generate(edgeslm_answer *answer, const char *prompt, uint32_t bytes, const edgeslm_options *options,
                          edgeslm_on_token on_token) {
  edgeslm_state *state = &edgeslm_model_state;
  edgeslm_real *logits = edgeslm_logits(state);
  *answer = (edgeslm_answer){0};
  uint32_t problem = enter_prompt(answer, prompt, bytes);
  if (problem) return problem;

  /* Prefill: the output layer for the last token alone. */
  uint32_t position = 0, start = edgeslm_ticks();
  for (; position < answer->prompt_tokens; position++)
    if (edgeslm_step(state, ids[position], position, position + 1u < answer->prompt_tokens ? NULL : logits))
      return EDGESLM_PROMPT_DAMAGED;
  answer->prefill_ticks = edgeslm_ticks() - start;

  /* Decode. */
  uint32_t room = EDGESLM_MODEL_CONTEXT - answer->prompt_tokens;
  uint32_t limit = options->most_tokens <= room ? options->most_tokens : room;
  uint32_t at_limit = options->most_tokens <= room ? EDGESLM_LENGTH : EDGESLM_CONTEXT;
  uint32_t random = options->seed * 2654435761u | 1u;
  const char *text = NULL;
  edgeslm_text_begin();
  for (int going = 1; going;) {
    uint32_t length = 0, token = choose(logits, options->temperature, &random);
    if (ends(token)) {
      answer->reason = EDGESLM_STOP;
      going = 0;
    } else {
      length = edgeslm_text_next(token, &text);
      if (answer->tokens + 1u >= limit) {
        answer->reason = at_limit;
        going = 0;
      }
    }
    if (on_token(answer->tokens++, token, text, length) && going) {
      answer->reason = EDGESLM_INTERRUPTED;
      going = 0;
    }
    if (going) {
      start = edgeslm_ticks();
      if (edgeslm_step(state, token, position++, logits)) return EDGESLM_PROMPT_DAMAGED;
      answer->decode_ticks += edgeslm_ticks() - start;
    }
  }
  uint32_t held = edgeslm_text_end(&text);
  if (held) on_token(answer->tokens, EDGESLM_NO_TOKEN, text, held);
  return 0;
}

#endif
