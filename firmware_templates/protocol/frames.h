/* Frames on a wire that may lose, double or change bytes:
 *
 *   | sync | type | length (2 bytes) | number | payload (length) | CRC-32 of all but the sync byte (4 bytes) |
 *
 * Every answer has the number of its request: one that comes twice, or late, is not taken for another's. What has more
 * than a byte is little-endian. The CRC is IEEE 802.3's, as zlib computes it. The sync byte is none of UTF-8's, so what a
 * person types never begins a frame. A receiver that finds a frame damaged looks for the next sync byte in what it
 * holds already: a frame behind the damage is not lost.
 */
#ifndef EDGESLM_FRAMES_H
#define EDGESLM_FRAMES_H

#include <stdint.h>

#define EDGESLM_SYNC 0xfdu
#ifndef EDGESLM_MOST_PAYLOAD
#define EDGESLM_MOST_PAYLOAD 1024u
#endif
#define EDGESLM_FRAME_BEGIN 5u /* before the payload */
#define EDGESLM_FRAME_END 4u   /* behind it */

typedef struct {
  uint32_t count; /* bytes held */
  uint32_t taken; /* of them, those of the frame that was received last */
  uint8_t bytes[EDGESLM_FRAME_BEGIN + EDGESLM_MOST_PAYLOAD + EDGESLM_FRAME_END];
} edgeslm_receiver;

/* Take a byte. Returns 1 when a whole frame has come: it stays until the next call. A frame may be followed by another
 * one that is whole already: after each, ask again with `byte` < 0 until 0 comes. */
int edgeslm_receive(edgeslm_receiver *receiver, int byte);

/* Of the frame that was received last. */
static inline uint32_t edgeslm_frame_type(const edgeslm_receiver *receiver) { return receiver->bytes[1]; }
static inline uint32_t edgeslm_frame_number(const edgeslm_receiver *receiver) { return receiver->bytes[4]; }
static inline uint32_t edgeslm_frame_bytes(const edgeslm_receiver *receiver) {
  return receiver->bytes[2] | (uint32_t)receiver->bytes[3] << 8;
}
static inline const uint8_t *edgeslm_frame_payload(const edgeslm_receiver *receiver) {
  return receiver->bytes + EDGESLM_FRAME_BEGIN;
}
/* The payload's word `index`, 4 bytes each; 0 behind its end. */
uint32_t edgeslm_frame_word(const edgeslm_receiver *receiver, uint32_t index);

/* Tell the host that its request has come: an `a`, where it has a number. 0 where it has come before: the wire doubled
 * it, or the host did not see the `a`. */
int edgeslm_confirm(const edgeslm_receiver *receiver);

/* Send a frame whose payload is words (count), then text (bytes), by edgeslm_uart_write. Its number is that of the
 * request that is answered. */
extern uint32_t edgeslm_answered;
void edgeslm_send(uint32_t type, const uint32_t *words, uint32_t count, const char *text, uint32_t bytes);

#endif
