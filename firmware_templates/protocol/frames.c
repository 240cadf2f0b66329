#include "frames.h"

#include <stddef.h>

#include "edgeslm_board.h"

uint32_t edgeslm_answered;

/* ---- CRC-32, a bit at a time: a wire is slower than this ----------------------------------------------------------- */

static uint32_t add_to_crc(uint32_t crc, uint32_t byte) {
  crc ^= byte;
  for (uint32_t bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1u ? 0xedb88320u : 0u);
  return crc;
}

/* ---- Receiving ----------------------------------------------------------------------------------------------------- */

static uint32_t word_at(const uint8_t *bytes) {
  return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void drop(edgeslm_receiver *receiver, uint32_t bytes) {
  receiver->count -= bytes;
  for (uint32_t i = 0; i < receiver->count; i++) receiver->bytes[i] = receiver->bytes[i + bytes];
}

/* 1: a whole frame is at the front. 0: it wants more bytes. -1: what is at the front is no frame. */
static int look(const edgeslm_receiver *receiver) {
  const uint8_t *bytes = receiver->bytes;
  if (bytes[0] != EDGESLM_SYNC) return -1;
  if (receiver->count < EDGESLM_FRAME_BEGIN) return 0;
  uint32_t length = edgeslm_frame_bytes(receiver), crc = 0xffffffffu;
  if (length > EDGESLM_MOST_PAYLOAD) return -1;
  if (receiver->count < EDGESLM_FRAME_BEGIN + length + EDGESLM_FRAME_END) return 0;
  for (uint32_t i = 1; i < EDGESLM_FRAME_BEGIN + length; i++) crc = add_to_crc(crc, bytes[i]);
  return word_at(bytes + EDGESLM_FRAME_BEGIN + length) == ~crc ? 1 : -1;
}

int edgeslm_receive(edgeslm_receiver *receiver, int byte) {
  drop(receiver, receiver->taken);
  receiver->taken = 0;
  if (byte >= 0) receiver->bytes[receiver->count++] = (uint8_t)byte;
  while (receiver->count) {
    int found = look(receiver);
    if (found > 0) receiver->taken = EDGESLM_FRAME_BEGIN + edgeslm_frame_bytes(receiver) + EDGESLM_FRAME_END;
    if (found >= 0) return found;
    uint32_t next = 1;
    while (next < receiver->count && receiver->bytes[next] != EDGESLM_SYNC) next++;
    drop(receiver, next);
  }
  return 0;
}

uint32_t edgeslm_frame_word(const edgeslm_receiver *receiver, uint32_t index) {
  if (4u * index + 4u > edgeslm_frame_bytes(receiver)) return 0;
  return word_at(edgeslm_frame_payload(receiver) + 4u * index);
}

/* ---- Sending ------------------------------------------------------------------------------------------------------- */

static uint32_t send_byte(uint32_t crc, uint32_t byte) {
  byte &= 0xffu;
  edgeslm_uart_write(byte);
  return add_to_crc(crc, byte);
}

static uint32_t send_word(uint32_t crc, uint32_t word) {
  for (uint32_t i = 0; i < 4; i++, word >>= 8) crc = send_byte(crc, word);
  return crc;
}

void edgeslm_send(uint32_t type, const uint32_t *words, uint32_t count, const char *text, uint32_t bytes) {
  uint32_t length = 4u * count + bytes;
  edgeslm_uart_write(EDGESLM_SYNC);
  uint32_t crc = send_byte(send_byte(send_byte(send_byte(0xffffffffu, type), length), length >> 8), edgeslm_answered);
  for (uint32_t i = 0; i < count; i++) crc = send_word(crc, words[i]);
  for (uint32_t i = 0; i < bytes; i++) crc = send_byte(crc, (uint8_t)text[i]);
  send_word(0, ~crc);
}

int edgeslm_confirm(const edgeslm_receiver *receiver) {
  uint32_t before = edgeslm_answered;
  edgeslm_answered = edgeslm_frame_number(receiver);
  if (edgeslm_answered == 0) return 1;
  edgeslm_send('a', NULL, 0, NULL, 0);
  return edgeslm_answered != before;
}
