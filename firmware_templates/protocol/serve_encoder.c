#include "serve_encoder.h"

#include "edgeslm_model.h"

#if EDGESLM_MODEL_ENCODER

#include "edgeslm_board.h"
#include "encode_text.h"
#include "paint.h"
#include "serve.h"

#define PARTS (EDGESLM_MODEL_LAYERS + 2u) /* embedding, layers, output */
#define WORDS(array) ((uint32_t)(sizeof(array) / sizeof(array[0])))
#define MOST_OUTPUTS 128u /* in a frame */

static void send_error(uint32_t code, uint32_t first, uint32_t second) {
  const uint32_t words[] = {code, first, second};
  edgeslm_send('e', words, WORDS(words), NULL, 0);
}

static void send_done(const edgeslm_encoded *encoded, uint32_t rows, uint32_t output_ticks, uint32_t arena_used) {
  const uint32_t words[] = {encoded->cut, encoded->count,       rows,      encoded->ticks,
                            output_ticks, edgeslm_stack_used(), arena_used};
  edgeslm_send('d', words, WORDS(words), NULL, 0);
}

/* The outputs of token t (0: of the text), as many frames as they need. */
static void send_outputs(uint32_t t, const edgeslm_real *out) {
  for (uint32_t start = 0; start < EDGESLM_MODEL_OUTPUTS; start += MOST_OUTPUTS) {
    uint32_t left = EDGESLM_MODEL_OUTPUTS - start, count = left < MOST_OUTPUTS ? left : MOST_OUTPUTS;
    const uint32_t words[] = {t, start};
    edgeslm_send('v', words, WORDS(words), (const char *)(const void *)(out + start), 4u * count);
  }
}

void edgeslm_serve_text(const edgeslm_receiver *receiver) {
  edgeslm_state *state = &edgeslm_model_state;
  edgeslm_encoded encoded;
  uint32_t wanted = edgeslm_frame_word(receiver, 0), bytes = edgeslm_frame_bytes(receiver), rows = 0, ticks = 0;
  const char *text = (const char *)edgeslm_frame_payload(receiver) + 4;
  uint32_t problem = bytes < 4u ? EDGESLM_ENCODE_DAMAGED : edgeslm_encode_text(&encoded, text, bytes - 4u);
  if (problem) {
    send_error(problem, 0, EDGESLM_MODEL_CONTEXT);
    return;
  }
  edgeslm_send('i', encoded.ids, encoded.count, NULL, 0);
  edgeslm_real *out = edgeslm_outputs(state);
  uint32_t count = EDGESLM_MODEL_OUTPUT_ROWS ? encoded.count : 1u;
  for (uint32_t t = 0; t < count && !edgeslm_uart_interrupted(); t++) {
    if (wanted != EDGESLM_NO_TOKEN && encoded.ids[t] != wanted) continue;
    uint32_t start = edgeslm_ticks();
    if (edgeslm_output(state, t, out)) break;
    ticks += edgeslm_ticks() - start;
    send_outputs(t, out);
    rows++;
  }
  send_done(&encoded, rows, ticks, 0);
}

/* ---- Probes -------------------------------------------------------------------------------------------------------- */

static uint32_t part_words[1u + PARTS], last_tick; /* the tokens, then the ticks of each part */

static void mark_part(uint32_t part) {
  uint32_t now = edgeslm_ticks();
  part_words[1u + part] += now - last_tick;
  last_tick = now;
}

void edgeslm_serve_probe(uint32_t count) {
  edgeslm_state *state = &edgeslm_model_state;
  edgeslm_encoded encoded;
  for (uint32_t part = 0; part < PARTS; part++) part_words[1u + part] = 0;
  part_words[0] = count;
  edgeslm_paint(state->arena);
  state->mark = mark_part;
  edgeslm_ticks_align();
  uint32_t start = last_tick = edgeslm_ticks(), rows = EDGESLM_MODEL_OUTPUT_ROWS ? count : 1u;
  uint32_t problem = edgeslm_encode_any(&encoded, count), encoded_at = edgeslm_ticks();
  for (uint32_t t = 0; t < rows && problem == 0; t++)
    if (edgeslm_output(state, t, edgeslm_outputs(state))) problem = EDGESLM_ENCODE_DAMAGED;
  uint32_t whole = edgeslm_ticks() - start;
  state->mark = NULL;
  if (problem) {
    send_error(EDGESLM_ERROR_LENGTH, count, EDGESLM_MODEL_CONTEXT);
    return;
  }
  const uint32_t words[] = {count, 1u, encoded_at - start, whole};
  edgeslm_send('x', words, WORDS(words), NULL, 0);
  edgeslm_send('p', part_words, WORDS(part_words), NULL, 0);
  send_done(&encoded, rows, start + whole - encoded_at, edgeslm_painted_over(state->arena));
}

#else
typedef int edgeslm_no_encoder;
#endif
