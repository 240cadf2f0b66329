/* Ids to text, one at a time: the decoder's steps go over each token's text, and hold back what may still change. */
#include "parts.h"

enum { WORDPIECES = 1, BYTES, FALLBACK, FUSE, STRIP, REPLACE, SPACES };
enum { WHOLE, LONG, BROKEN }; /* a run: UTF-8 so far; so far, and too long to be waited for; no UTF-8 */

/* DECO */
typedef struct {
  uint32_t kind, a, x, y;
} decoder_record;

#define REPLACEMENT ((edgeslm_span){(const uint8_t *)"\xef\xbf\xbd", 3}) /* U+FFFD */

/* A token's text as steps get it. */
static edgeslm_span shown(const edgeslm_tokenizer *tokenizer, uint32_t id, uint32_t skips) {
  const edgeslm_added_record *added = EDGESLM_RECORDS(tokenizer, EDGESLM_ADDT, edgeslm_added_record);
  for (uint32_t count = tokenizer->bytes[EDGESLM_ADDT] >> 4; count; count--, added++) {
    if (added->id != id) continue;
    if (skips && added->flags & EDGESLM_ADDED_SPECIAL) return (edgeslm_span){NULL, 0};
    return edgeslm_token_text(tokenizer, added->shown);
  }
  return id < tokenizer->tokens ? edgeslm_token_bytes(tokenizer, id) : (edgeslm_span){NULL, 0};
}

/* The text of `out` from `start` on is written anew. */
static void begin(const edgeslm_tokenizer_decoder *decoder, edgeslm_rewrite *rewrite, uint32_t start) {
  edgeslm_rewrite_begin(rewrite, decoder->out + start, decoder->out + decoder->most, decoder->out + start,
                        decoder->bytes - start);
}

static void finish(edgeslm_tokenizer_decoder *decoder, edgeslm_rewrite *rewrite) {
  edgeslm_rewrite_rest(rewrite);
  decoder->full |= rewrite->full;
  decoder->bytes = (uint32_t)(rewrite->at - decoder->out);
}

#if EDGESLM_TOKENIZER_DECODE_WORDPIECES || EDGESLM_TOKENIZER_DECODE_NOTHING
static void put_before(edgeslm_tokenizer_decoder *decoder, uint32_t start, uint32_t byte) {
  edgeslm_rewrite rewrite;
  begin(decoder, &rewrite, start);
  edgeslm_rewrite_byte(&rewrite, byte);
  finish(decoder, &rewrite);
}
#endif

#if EDGESLM_TOKENIZER_DECODE_REPLACE || EDGESLM_TOKENIZER_DECODE_SPACES || EDGESLM_TOKENIZER_DECODE_WORDPIECES
static void replace(edgeslm_tokenizer_decoder *decoder, uint32_t start, edgeslm_span old, edgeslm_span new) {
  edgeslm_rewrite rewrite;
  begin(decoder, &rewrite, start);
  while (old.bytes && rewrite.from < rewrite.end) {
    if (edgeslm_token_begins(rewrite.from, (uint32_t)(rewrite.end - rewrite.from), old)) {
      rewrite.from += old.bytes;
      edgeslm_rewrite_text(&rewrite, new);
    } else {
      uint32_t byte = *rewrite.from++;
      edgeslm_rewrite_byte(&rewrite, byte);
    }
  }
  finish(decoder, &rewrite);
}
#endif

#if EDGESLM_TOKENIZER_DECODE_WORDPIECES
/* In this order, each over what the ones before left. A zero behind each text. */
static const char cleanups[] =
    " .\0.\0 ?\0?\0 !\0!\0 ,\0,\0 ' \0'\0 n't\0n't\0 'm\0'm\0 do not\0 don't\0 's\0's\0 've\0've\0 're\0're\0";

static edgeslm_span next_text(const uint8_t **from) {
  edgeslm_span text = {*from, 0};
  while (text.text[text.bytes]) text.bytes++;
  *from += text.bytes + 1u;
  return text;
}

static void join_word_pieces(edgeslm_tokenizer_decoder *decoder, uint32_t start, const decoder_record *record) {
  const edgeslm_span prefix = edgeslm_token_text(decoder->tokenizer, record->x);
  if (decoder->begun && edgeslm_token_begins(decoder->out + start, decoder->bytes - start, prefix)) {
    edgeslm_rewrite rewrite;
    begin(decoder, &rewrite, start);
    if (!rewrite.full) rewrite.from += prefix.bytes;
    finish(decoder, &rewrite);
  } else if (decoder->begun) {
    put_before(decoder, start, ' ');
  }
  const uint8_t *from = (const uint8_t *)cleanups;
  while (record->a && *from) {
    edgeslm_span old = next_text(&from), new = next_text(&from);
    replace(decoder, start, old, new);
  }
}
#endif

#if EDGESLM_TOKENIZER_DECODE_BYTES
/* Bytes become UTF-8, U+FFFD for each longest part of a character that breaks off; a beginning is held. */
static void join_bytes(edgeslm_tokenizer_decoder *decoder, uint32_t start) {
  edgeslm_rewrite rewrite;
  begin(decoder, &rewrite, start);
  while (rewrite.from < rewrite.end) {
    uint8_t byte = *rewrite.from++;
    int ends = edgeslm_utf8_feed(&decoder->utf8, byte);
    if (ends < 0 && decoder->count) {
      edgeslm_rewrite_text(&rewrite, REPLACEMENT);
      decoder->count = 0;
      ends = edgeslm_utf8_feed(&decoder->utf8, byte);
    }
    if (ends < 0) {
      edgeslm_rewrite_text(&rewrite, REPLACEMENT);
      continue;
    }
    decoder->held[decoder->count++] = byte;
    if (!ends) continue;
    edgeslm_rewrite_text(&rewrite, (edgeslm_span){decoder->held, decoder->count});
    decoder->count = 0;
  }
  finish(decoder, &rewrite);
}
#endif

#if EDGESLM_TOKENIZER_DECODE_STRIP
static void strip(edgeslm_tokenizer_decoder *decoder, uint32_t start, const decoder_record *record) {
  edgeslm_rewrite rewrite;
  begin(decoder, &rewrite, start);
  for (const uint8_t *from = rewrite.from; from < rewrite.end && decoder->strips; decoder->strips--) {
    if (edgeslm_utf8_next(&from, rewrite.end) != record->a) {
      decoder->strips = 0;
      break;
    }
    rewrite.from = from;
  }
  finish(decoder, &rewrite);
}
#endif

/* The steps from `step` on, over the text from `start` on. FALLBACK is none of them: see decode. FUSE has nothing to
 * do, for what comes behind it looks at no more than the front of all texts, or at single characters. */
static void run_steps(edgeslm_tokenizer_decoder *decoder, uint32_t start, uint32_t step) {
  const decoder_record *record = EDGESLM_RECORDS(decoder->tokenizer, EDGESLM_DECO, decoder_record) + step;
  (void)start;
  for (; step < decoder->tokenizer->bytes[EDGESLM_DECO] >> 4; step++, record++) {
#if EDGESLM_TOKENIZER_DECODE_WORDPIECES
    if (record->kind == WORDPIECES) join_word_pieces(decoder, start, record);
#endif
#if EDGESLM_TOKENIZER_DECODE_BYTES
    if (record->kind == BYTES) join_bytes(decoder, start);
#endif
#if EDGESLM_TOKENIZER_DECODE_STRIP
    if (record->kind == STRIP) strip(decoder, start, record);
#endif
#if EDGESLM_TOKENIZER_DECODE_REPLACE
    if (record->kind == REPLACE)
      replace(decoder, start, edgeslm_token_text(decoder->tokenizer, record->x),
              edgeslm_token_text(decoder->tokenizer, record->y));
#endif
#if EDGESLM_TOKENIZER_DECODE_SPACES
    if (record->kind == SPACES) {
      uint8_t mark[4];
      edgeslm_rewrite one = {mark, mark + 4, NULL, 0};
      edgeslm_rewrite_character(&one, record->x);
      replace(decoder, start, (edgeslm_span){mark, (uint32_t)(one.at - mark)},
              (edgeslm_span){(const uint8_t *)" ", !record->a || decoder->begun});
    }
#endif
  }
#if EDGESLM_TOKENIZER_DECODE_NOTHING
  if (!decoder->tokenizer->decodes && decoder->begun) put_before(decoder, start, ' ');
#endif
  decoder->begun = 1;
}

/* A text through the steps from `step` on. */
static void give(edgeslm_tokenizer_decoder *decoder, edgeslm_span text, uint32_t step) {
  uint32_t start = decoder->bytes;
  if (text.bytes > decoder->most - start) {
    decoder->full = 1;
    return;
  }
  for (uint32_t i = 0; i < text.bytes; i++) decoder->out[decoder->bytes++] = text.text[i];
  run_steps(decoder, start, step);
}

#if EDGESLM_TOKENIZER_DECODE_FALLBACK
/* What is held, as it is or U+FFFD for each byte. */
static void give_held(edgeslm_tokenizer_decoder *decoder, uint32_t whole) {
  uint32_t count = decoder->count;
  decoder->count = 0;
  if (whole && count) give(decoder, (edgeslm_span){decoder->held, count}, decoder->behind);
  for (; !whole && count; count--) give(decoder, REPLACEMENT, decoder->behind);
}

/* A run that is no UTF-8 is U+FFFD for each byte, so it is held until it ends; or until it is long. */
static void hold(edgeslm_tokenizer_decoder *decoder, uint8_t byte) {
  decoder->held[decoder->count++] = byte;
  int ends = decoder->run == BROKEN ? -1 : edgeslm_utf8_feed(&decoder->utf8, byte);
  if (ends < 0) {
    decoder->run = BROKEN;
    give_held(decoder, 0);
  } else if (ends && (decoder->run == LONG || decoder->count >= EDGESLM_TOKENIZER_LONG_RUN)) {
    decoder->run = LONG;
    give_held(decoder, 1);
  }
}

static void end_run(edgeslm_tokenizer_decoder *decoder) {
  uint32_t whole = decoder->utf8.left == 0;
  decoder->utf8.left = 0;
  decoder->run = WHOLE;
  give_held(decoder, whole);
}

/* Whether a token is a byte: it is held. */
static int is_byte(edgeslm_tokenizer_decoder *decoder, uint32_t id) {
  const uint32_t *ids = EDGESLM_RECORDS(decoder->tokenizer, EDGESLM_BYTE, uint32_t);
  for (uint32_t byte = 0; byte < decoder->tokenizer->bytes[EDGESLM_BYTE] >> 2; byte++) {
    if (ids[byte] != id) continue;
    hold(decoder, (uint8_t)byte);
    return 1;
  }
  return 0;
}
#endif

void edgeslm_tokenizer_decode_begin(edgeslm_tokenizer_decoder *decoder, const edgeslm_tokenizer *tokenizer,
                                    int skip_special) {
  decoder->tokenizer = tokenizer;
  decoder->skips = skip_special != 0;
  decoder->begun = 0;
  decoder->run = WHOLE;
  decoder->count = 0;
  decoder->behind = 0;
  decoder->utf8.left = 0;
#if EDGESLM_TOKENIZER_DECODE_FALLBACK || EDGESLM_TOKENIZER_DECODE_STRIP
  const decoder_record *record = EDGESLM_RECORDS(tokenizer, EDGESLM_DECO, decoder_record);
  for (uint32_t step = 1; step <= tokenizer->bytes[EDGESLM_DECO] >> 4; step++, record++) {
    if (record->kind == FALLBACK) decoder->behind = (uint8_t)step;
    if (record->kind == STRIP) decoder->strips = record->x;
  }
#endif
}

static void begin_output(edgeslm_tokenizer_decoder *decoder, char *out, uint32_t most) {
  decoder->out = (uint8_t *)out;
  decoder->most = most;
  decoder->bytes = 0;
  decoder->full = 0;
}

static int32_t end_output(const edgeslm_tokenizer_decoder *decoder) {
  return decoder->full ? EDGESLM_TOKENIZER_TOO_LONG : (int32_t)decoder->bytes;
}

int32_t edgeslm_tokenizer_decode(edgeslm_tokenizer_decoder *decoder, uint32_t id, char *out, uint32_t most) {
  edgeslm_span text = shown(decoder->tokenizer, id, decoder->skips);
  begin_output(decoder, out, most);
  if (text.bytes) {
#if EDGESLM_TOKENIZER_DECODE_FALLBACK
    if (decoder->behind) {
      if (is_byte(decoder, id)) return end_output(decoder);
      end_run(decoder);
    }
#endif
    give(decoder, text, 0);
  }
  return end_output(decoder);
}

int32_t edgeslm_tokenizer_decode_end(edgeslm_tokenizer_decoder *decoder, char *out, uint32_t most) {
  begin_output(decoder, out, most);
#if EDGESLM_TOKENIZER_DECODE_FALLBACK
  if (decoder->behind) end_run(decoder);
#endif
#if EDGESLM_TOKENIZER_DECODE_BYTES
  if (decoder->count) {
    decoder->count = 0;
    give(decoder, REPLACEMENT, 1);
  }
#endif
  edgeslm_tokenizer_decode_begin(decoder, decoder->tokenizer, decoder->skips);
  return end_output(decoder);
}
