#include "terminal.h"

#include "edgeslm_board.h"
#include "encode_text.h"
#include "greeting.h"

enum { CTRL_C = 3, BACKSPACE = 8, NEWLINE = 10, RETURN = 13, CTRL_U = 21, DELETE = 127 };

static uint32_t typed; /* bytes of the line */

void edgeslm_terminal_start(void) { typed = 0; }

static void ask(void) {
  typed = 0;
  edgeslm_show("\r\n> ");
}

void edgeslm_terminal_greet(void) {
  typed = 0;
  edgeslm_greet(edgeslm_model_config.name, edgeslm_model_config.scheme);
}

#if EDGESLM_MODEL_ENCODER

enum { AROUND = 0 }; /* bytes that a line gets around it */

/* With four digits behind the point. */
static void show_real(edgeslm_real value) {
  char digits[12];
  uint32_t count = 0;
#if EDGESLM_FIXED
  int32_t tenths = (int32_t)(((int64_t)value * 10000) / 65536);
#else
  int32_t tenths = (int32_t)(value * 10000.0f);
#endif
  uint32_t left = tenths < 0 ? 0u - (uint32_t)tenths : (uint32_t)tenths;
  edgeslm_uart_write(tenths < 0 ? '-' : ' ');
  for (; left || count < 5u; left /= 10u) digits[count++] = (char)('0' + left % 10u);
  while (count) {
    edgeslm_uart_write((uint8_t)digits[--count]);
    if (count == 4u) edgeslm_uart_write('.');
  }
}

/* A line for the text, or for each of its tokens. */
static void answer(uint8_t *line, const edgeslm_options *options) {
  edgeslm_encoded encoded;
  edgeslm_state *state = &edgeslm_model_state;
  edgeslm_real *out = edgeslm_outputs(state);
  (void)options;
  if (edgeslm_encode_text(&encoded, (const char *)line, typed)) {
    edgeslm_show("\r\nno UTF-8, or too long");
  } else {
    uint32_t rows = EDGESLM_MODEL_OUTPUT_ROWS ? encoded.count : 1u;
    for (uint32_t t = 0; t < rows && edgeslm_output(state, t, out) == EDGESLM_OK; t++) {
      edgeslm_show("\r\n");
      for (uint32_t i = 0; i < EDGESLM_MODEL_OUTPUTS && !edgeslm_uart_interrupted(); i++) show_real(out[i]);
    }
  }
  ask();
}

#else

/* A model's words must not steer a terminal. */
static int show_token(uint32_t index, uint32_t token, const char *text, uint32_t bytes) {
  (void)index;
  (void)token;
  for (uint32_t i = 0; i < bytes; i++) {
    uint8_t byte = (uint8_t)text[i];
    if (byte == NEWLINE) edgeslm_uart_write(RETURN);
    edgeslm_uart_write((byte >= ' ' && byte != DELETE) || byte == NEWLINE || byte == '\t' ? byte : '?');
  }
  return edgeslm_uart_interrupted();
}

#ifdef EDGESLM_MODEL_TURN_AFTER
static const char before[] = EDGESLM_MODEL_TURN_BEFORE, after[] = EDGESLM_MODEL_TURN_AFTER;
enum { BEFORE = sizeof before - 1, AROUND = BEFORE + sizeof after - 1 }; /* bytes */

/* A person types a request, and the model was trained on requests with more around them. */
static void make_turn(uint8_t *line) {
  for (uint32_t i = typed; i--;) line[BEFORE + i] = line[i];
  for (uint32_t i = 0; before[i]; i++) line[i] = (uint8_t)before[i];
  typed += BEFORE;
  for (uint32_t i = 0; after[i]; i++) line[typed++] = (uint8_t)after[i];
}
#else
enum { AROUND = 0 };
static void make_turn(uint8_t *line) { (void)line; }
#endif

static void answer(uint8_t *line, const edgeslm_options *options) {
  edgeslm_answer answered;
  if (AROUND && typed == 0) { /* nothing is asked for; without a turn, a text begins */
    ask();
    return;
  }
  edgeslm_show("\r\n");
  make_turn(line);
  switch (edgeslm_generate(&answered, (const char *)line, typed, options, show_token)) {
    case 0: break;
    case EDGESLM_PROMPT_TOO_LONG: edgeslm_show("too long for the model's context"); break;
    case EDGESLM_PROMPT_EMPTY: edgeslm_show("a prompt, please"); break;
    default: edgeslm_show("no UTF-8");
  }
  ask();
}

#endif

/* The last character, all its bytes. */
static void erase(const uint8_t *line) {
  while (typed && (line[--typed] & 0xc0u) == 0x80u) {
  }
  edgeslm_show("\b \b");
}

void edgeslm_terminal_take(uint8_t *line, uint32_t most, uint32_t byte, const edgeslm_options *options) {
  if (byte == RETURN || (byte == NEWLINE && typed)) {
    answer(line, options);
  } else if (byte == BACKSPACE || byte == DELETE) {
    if (typed) erase(line);
  } else if (byte == CTRL_C || byte == CTRL_U) {
    ask();
  } else if (byte >= ' ' && typed + AROUND < most) {
    line[typed++] = (uint8_t)byte;
    edgeslm_uart_write(byte);
  }
}
