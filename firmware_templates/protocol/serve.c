#include "serve.h"

#include "edgeslm_board.h"
#include "edgeslm_model.h"
#include "frames.h"
#include "generate.h"
#include "model_tokenizer.h"
#include "paint.h"
#include "serve_encoder.h"
#include "terminal.h"
#include "text.h"

#define PARTS (EDGESLM_MODEL_LAYERS + 2u) /* embedding, layers, output layer */
#define WORDS(array) ((uint32_t)(sizeof(array) / sizeof(array[0])))

_Static_assert(EDGESLM_MODEL_WORK_BYTES(EDGESLM_MOST_PAYLOAD) <= EDGESLM_TEXT_WORK,
               "the longest prompt is turned into tokens in the state's memory");

static edgeslm_receiver receiver;
static edgeslm_options options = {256u, 0u, 0u};

static void send_words(uint32_t type, const uint32_t *words, uint32_t count) { edgeslm_send(type, words, count, NULL, 0); }

static void send_error(uint32_t code, uint32_t first, uint32_t second) {
  const uint32_t words[] = {code, first, second};
  send_words('e', words, WORDS(words));
}

void edgeslm_report_fault(uint32_t cause, uint32_t address) { send_error(EDGESLM_ERROR_FAULT, cause, address); }

/* ---- What the board is --------------------------------------------------------------------------------------------- */

static uint32_t length_of(const char *text) {
  uint32_t length = 0;
  while (text[length]) length++;
  return length;
}

static void hello(void) {
  const edgeslm_config *config = &edgeslm_model_config;
  const uint32_t words[] = {
      EDGESLM_PROTOCOL,
      EDGESLM_MOST_PAYLOAD,
      config->vocabulary,
      config->context,
      config->layers,
      edgeslm_ticks_source(),
      edgeslm_stack_bytes(),
      EDGESLM_MODEL_ARENA_BYTES,
      2u * EDGESLM_MODEL_LAYERS * EDGESLM_MODEL_CACHE_BYTES,
      edgeslm_clock_hz(),
      edgeslm_image_digest[0],
      edgeslm_image_digest[1],
  };
  edgeslm_send('h', words, WORDS(words), config->name, length_of(config->name));
}

#if !EDGESLM_MODEL_ENCODER
/* ---- Answers ------------------------------------------------------------------------------------------------------- */

static void send_done(const edgeslm_answer *answer, uint32_t arena_used) {
  const uint32_t words[] = {answer->reason,       answer->prompt_tokens, answer->tokens, answer->prefill_ticks,
                            answer->decode_ticks, edgeslm_stack_used(),  arena_used};
  send_words('d', words, WORDS(words));
}

static int send_token(uint32_t index, uint32_t token, const char *text, uint32_t bytes) {
  const uint32_t words[] = {index, token};
  edgeslm_send('t', words, WORDS(words), text, bytes);
  return edgeslm_uart_interrupted();
}

static void answer_prompt(void) {
  edgeslm_answer answer;
  uint32_t problem = edgeslm_generate(&answer, (const char *)edgeslm_frame_payload(&receiver),
                                      edgeslm_frame_bytes(&receiver), &options, send_token);
  if (problem)
    send_error(problem, answer.prompt_tokens, EDGESLM_MODEL_CONTEXT);
  else
    send_done(&answer, 0);
}

/* ---- Probes -------------------------------------------------------------------------------------------------------- */

static uint32_t part_words[1u + PARTS], last_tick; /* the position, then the ticks of each part */

static void mark_part(uint32_t part) {
  uint32_t now = edgeslm_ticks();
  part_words[1u + part] = now - last_tick;
  last_tick = now;
}

/* Enter `prompt` tokens without logits, then take `steps` greedy steps, and tell the ticks of each. */
static void probe(uint32_t prompt, uint32_t steps) {
  edgeslm_state *state = &edgeslm_model_state;
  edgeslm_answer answer = {prompt, steps, EDGESLM_LENGTH, 0, 0};
  uint32_t token = 1u % EDGESLM_MODEL_VOCABULARY;
  if (prompt > EDGESLM_MODEL_CONTEXT || steps > EDGESLM_MODEL_CONTEXT - prompt) {
    send_error(EDGESLM_ERROR_LENGTH, prompt + steps, EDGESLM_MODEL_CONTEXT);
    return;
  }
  edgeslm_text_begin();
  edgeslm_paint(state->arena);
  for (uint32_t position = 0; position < prompt + steps; position++) {
    edgeslm_real *logits = position < prompt ? NULL : edgeslm_logits(state);
    for (uint32_t part = 0; part < PARTS; part++) part_words[1u + part] = 0;
    part_words[0] = position;
    state->mark = mark_part;
    edgeslm_ticks_align();
    uint32_t start = last_tick = edgeslm_ticks(), entered = token;
    int status = edgeslm_step(state, token, position, logits);
    uint32_t stepped = edgeslm_ticks();
    state->mark = NULL;
    if (status) {
      send_error(EDGESLM_ERROR_STEP, position, entered);
      return;
    }
    if (logits) {
      const char *text;
      token = edgeslm_argmax(logits, EDGESLM_MODEL_VOCABULARY);
      edgeslm_text_next(token, &text);
      answer.decode_ticks += stepped - start;
    } else {
      token = (token + 7u) % EDGESLM_MODEL_VOCABULARY;
      answer.prefill_ticks += stepped - start;
    }
    const uint32_t words[] = {position, logits != NULL, stepped - start, edgeslm_ticks() - start};
    send_words('x', words, WORDS(words));
    send_words('p', part_words, WORDS(part_words));
  }
  send_done(&answer, edgeslm_painted_over(state->arena));
}

#endif
/* ---- Requests ------------------------------------------------------------------------------------------------------ */

/* 1 where the host says that this is the end. */
static int answer_request(void) {
  uint32_t type = edgeslm_frame_type(&receiver);
  if (!edgeslm_confirm(&receiver)) return 0;
  switch (type) {
    case 'H': hello(); break;
#if EDGESLM_MODEL_ENCODER
    case 'E': edgeslm_serve_text(&receiver); break;
    case 'X': edgeslm_serve_probe(edgeslm_frame_word(&receiver, 0)); break;
#else
    case 'O':
      options.most_tokens = edgeslm_frame_word(&receiver, 0);
      options.temperature = edgeslm_frame_word(&receiver, 1);
      options.seed = edgeslm_frame_word(&receiver, 2);
      send_words('o', (const uint32_t *)&options, 3);
      break;
    case 'P': answer_prompt(); break;
    case 'X':
      probe(edgeslm_frame_word(&receiver, 0), edgeslm_frame_word(&receiver, 1));
      break;
#endif
    case 'Q': return 1;
    default: send_error(EDGESLM_ERROR_UNKNOWN, type, edgeslm_frame_bytes(&receiver));
  }
  return 0;
}

int edgeslm_serve(void) {
  edgeslm_flush_denormals();
  edgeslm_terminal_greet();
  for (;;) {
    int byte = edgeslm_uart_poll();
    if (byte == EDGESLM_UART_ENDED) return 0;
    if (byte == EDGESLM_NO_BYTE) continue;
    if (receiver.count == receiver.taken) {
      if (byte != EDGESLM_SYNC) {
        edgeslm_terminal_take(receiver.bytes, EDGESLM_MOST_PAYLOAD, (uint32_t)byte, &options);
        continue;
      }
      edgeslm_terminal_start(); /* what was typed until now lay in the receiver's bytes */
    }
    for (int whole = edgeslm_receive(&receiver, byte); whole; whole = edgeslm_receive(&receiver, -1))
      if (answer_request()) return 0;
  }
}
