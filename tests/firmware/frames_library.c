/* frames.c with a wire of memory, for tests: what is sent is kept, what comes is received byte by byte. */
#include <stddef.h>

#include "edgeslm_board.h"
#include "frames.h"

enum { MOST_SENT = 1 << 20 };
static edgeslm_receiver receiver;
static uint8_t sent[MOST_SENT];
static uint32_t sent_bytes;

void edgeslm_uart_write(uint32_t byte) {
  if (sent_bytes < MOST_SENT) sent[sent_bytes++] = (uint8_t)byte;
}

uint32_t take_sent(const uint8_t **bytes);
uint32_t take_sent(const uint8_t **bytes) {
  uint32_t count = sent_bytes;
  *bytes = sent;
  sent_bytes = 0;
  return count;
}

/* Every frame that is received is sent again. */
void receive_and_send(const uint8_t *bytes, uint32_t count);
void receive_and_send(const uint8_t *bytes, uint32_t count) {
  receiver.count = receiver.taken = 0;
  for (uint32_t i = 0; i < count; i++)
    for (int whole = edgeslm_receive(&receiver, bytes[i]); whole; whole = edgeslm_receive(&receiver, -1)) {
      edgeslm_answered = edgeslm_frame_number(&receiver);
      edgeslm_send(edgeslm_frame_type(&receiver), NULL, 0, (const char *)edgeslm_frame_payload(&receiver),
                   edgeslm_frame_bytes(&receiver));
    }
}
