/* UTF-8, and texts that are written over themselves. */
#include "parts.h"

int edgeslm_utf8_feed(edgeslm_utf8 *utf8, uint8_t byte) {
  if (utf8->left == 0) {
    if (byte < 0x80u) return 1;
    if (byte < 0xc2u || byte > 0xf4u) return -1;
    utf8->left = (uint8_t)(1 + (byte >= 0xe0u) + (byte >= 0xf0u));
    /* Neither longer than need be, nor half a surrogate pair, nor beyond U+10FFFF. */
    utf8->low = byte == 0xe0u ? 0xa0u : byte == 0xf0u ? 0x90u : 0x80u;
    utf8->high = byte == 0xedu ? 0x9fu : byte == 0xf4u ? 0x8fu : 0xbfu;
    return 0;
  }
  if (byte < utf8->low || byte > utf8->high) {
    utf8->left = 0;
    return -1;
  }
  utf8->low = 0x80u;
  utf8->high = 0xbfu;
  return --utf8->left == 0;
}

/* A damaged table may have texts that are no UTF-8: they give some character, and nothing is read behind the end. */
uint32_t edgeslm_utf8_next(const uint8_t **from, const uint8_t *end) {
  const uint8_t *place = *from;
  uint32_t character = *place++;
  if (character >= 0xc0u) {
    uint32_t left = 1u + (character >= 0xe0u) + (character >= 0xf0u);
    character &= 0x3fu >> left;
    for (; left && place < end; left--) character = character << 6 | (*place++ & 0x3fu);
  }
  *from = place;
  return character;
}

void edgeslm_rewrite_begin(edgeslm_rewrite *rewrite, uint8_t *base, uint8_t *end, const uint8_t *text, uint32_t bytes) {
  rewrite->at = base;
  rewrite->end = end;
  rewrite->full = bytes > (uint32_t)(end - base);
  if (rewrite->full) bytes = 0;
  while (bytes) *--end = text[--bytes];
  rewrite->from = end;
}

void edgeslm_rewrite_byte(edgeslm_rewrite *rewrite, uint32_t byte) {
  if (rewrite->at == rewrite->from)
    rewrite->full = 1;
  else
    *rewrite->at++ = (uint8_t)byte;
}

void edgeslm_rewrite_character(edgeslm_rewrite *rewrite, uint32_t character) {
  uint32_t left = 0u + (character >= 0x80u) + (character >= 0x800u) + (character >= 0x10000u);
  edgeslm_rewrite_byte(rewrite, (left ? 0xff80u >> left : 0u) | character >> 6u * left);
  while (left) edgeslm_rewrite_byte(rewrite, 0x80u | (character >> 6u * --left & 0x3fu));
}

void edgeslm_rewrite_text(edgeslm_rewrite *rewrite, edgeslm_span text) {
  for (uint32_t i = 0; i < text.bytes; i++) edgeslm_rewrite_byte(rewrite, text.text[i]);
}

void edgeslm_rewrite_rest(edgeslm_rewrite *rewrite) {
  while (rewrite->from < rewrite->end) {
    uint32_t byte = *rewrite->from++;
    edgeslm_rewrite_byte(rewrite, byte);
  }
}
