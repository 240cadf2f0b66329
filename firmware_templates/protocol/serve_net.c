/* What a board with a net answers: serve.h says in which frames. It takes the place of serve.c. */
#include "model_config.h"

#if EDGESLM_MODEL_NET

#include "edgeslm_board.h"
#include "edgeslm_net.h"
#include "frames.h"
#include "greeting.h"
#include "serve.h"

#define WORDS(array) ((uint32_t)(sizeof(array) / sizeof(array[0])))
#define RETURN 13

static edgeslm_receiver receiver;

static void send_words(uint32_t type, const uint32_t *words, uint32_t count) { edgeslm_send(type, words, count, NULL, 0); }

static void send_error(uint32_t code, uint32_t first, uint32_t second) {
  const uint32_t words[] = {code, first, second};
  send_words('e', words, WORDS(words));
}

void edgeslm_report_fault(uint32_t cause, uint32_t address) { send_error(EDGESLM_ERROR_FAULT, cause, address); }

static void greet(void) { edgeslm_greet(edgeslm_net_name, "int8-static"); }

static void hello(void) {
  uint32_t length = 0;
  while (edgeslm_net_name[length]) length++;
  const uint32_t words[] = {
      EDGESLM_PROTOCOL,
      EDGESLM_MOST_PAYLOAD,
      0,
      0,
      EDGESLM_NET_STEPS,
      edgeslm_ticks_source(),
      edgeslm_stack_bytes(),
      EDGESLM_NET_ARENA_BYTES,
      0,
      edgeslm_clock_hz(),
      edgeslm_image_digest[0],
      edgeslm_image_digest[1],
  };
  edgeslm_send('h', words, WORDS(words), edgeslm_net_name, length);
}

/* Whether so many bytes from `offset` on are in a port of `all` bytes; says so where they are not. */
static int is_inside(uint32_t index, uint32_t offset, uint32_t bytes, uint32_t all) {
  if (offset <= all && bytes <= all - offset) return 1;
  send_error(EDGESLM_ERROR_PORT, index, offset);
  return 0;
}

static void take_input(void) {
  uint32_t index = edgeslm_frame_word(&receiver, 0), offset = edgeslm_frame_word(&receiver, 1);
  uint32_t given = edgeslm_frame_bytes(&receiver), bytes = given < 8u ? 0u : given - 8u;
  const uint8_t *from = edgeslm_frame_payload(&receiver) + 8;
  if (!is_inside(index, offset, bytes, edgeslm_net_input_bytes(index))) return;
  uint8_t *to = edgeslm_net_input(index);
  for (uint32_t i = 0; i < bytes; i++) to[offset + i] = from[i];
  const uint32_t words[] = {index, offset, bytes};
  send_words('i', words, WORDS(words));
}

static void tell_output(void) {
  uint32_t index = edgeslm_frame_word(&receiver, 0), offset = edgeslm_frame_word(&receiver, 1);
  uint32_t bytes = edgeslm_frame_word(&receiver, 2);
  if (bytes > EDGESLM_MOST_PAYLOAD) bytes = EDGESLM_MOST_PAYLOAD;
  if (!is_inside(index, offset, bytes, edgeslm_net_output_bytes(index))) return;
  const uint32_t words[] = {index, offset};
  edgeslm_send('v', words, WORDS(words), (const char *)edgeslm_net_output(index) + offset, bytes);
}

/* All steps; where each is told, its ticks without what telling takes. */
static void run(uint32_t is_told) {
  uint32_t step = 0, status = 0, ticks = 0, start = 0;
  for (; step < EDGESLM_NET_STEPS && !status; step++) {
    if (step == 0 || is_told) {
      edgeslm_ticks_align();
      start = edgeslm_ticks();
    }
    status = (uint32_t)edgeslm_net_step(step);
    if (!is_told) continue;
    const uint32_t words[] = {step, edgeslm_ticks() - start};
    ticks += words[1];
    send_words('x', words, WORDS(words));
  }
  if (!is_told) ticks = edgeslm_ticks() - start;
  const uint32_t words[] = {step, ticks, edgeslm_stack_used()};
  if (status)
    send_error(EDGESLM_ERROR_NET, step - 1u, status);
  else
    send_words('d', words, WORDS(words));
}

/* 1 where the host says that this is the end. */
static int answer_request(void) {
  uint32_t type = edgeslm_frame_type(&receiver);
  if (!edgeslm_confirm(&receiver)) return 0;
  switch (type) {
    case 'H': hello(); break;
    case 'I': take_input(); break;
    case 'R':
    case 'X': run(type == 'X'); break;
    case 'V': tell_output(); break;
    case 'Q': return 1;
    default: send_error(EDGESLM_ERROR_UNKNOWN, type, edgeslm_frame_bytes(&receiver));
  }
  return 0;
}

int edgeslm_serve(void) {
  greet();
  for (;;) {
    int byte = edgeslm_uart_poll();
    if (byte == EDGESLM_UART_ENDED) return 0;
    if (byte == EDGESLM_NO_BYTE) continue;
    if (receiver.count == receiver.taken && byte == RETURN) greet(); /* a person, who wants to see who is there */
    for (int whole = edgeslm_receive(&receiver, byte); whole; whole = edgeslm_receive(&receiver, -1))
      if (answer_request()) return 0;
  }
}

#else
typedef int edgeslm_no_net;
#endif
