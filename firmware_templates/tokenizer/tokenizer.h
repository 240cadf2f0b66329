/* Text to token ids and back, from the table that docs/tokenizer.md describes. The table is read where it lies.
 *
 * No heap, no C library, no floats. A build has what these macros say (=1; what is not said is left out), all of them
 * with EDGESLM_TOKENIZER_ before the name; edgeslm/tokenizer/features.py tells which ones a table needs:
 *   ID_BYTES          the table's width of ids: 2 (so it is if nobody says) or 4
 *   BPE, WORDPIECE    the model
 *   BYTE_FALLBACK, BYTE_LEVEL, WHOLE_WORDS, UNKNOWN
 *                     of BPE: characters in bytes; words of bytes; a word that is a token is that token; a character or
 *                     a byte may have no id
 *   MAP, MAP_TEXTS, FORMS, STRIP, SUBSTITUTE, PREFIX, SPLIT
 *                     steps before the model; MAP_TEXTS: a character may become several, or none
 *   ADDED, ADDED_NORMALIZED, ADDED_BESIDE
 *                     added tokens; those looked for in normalized text; those that look at what stands beside them
 *   DECODE_BYTES, DECODE_FALLBACK, DECODE_WORDPIECES, DECODE_REPLACE, DECODE_SPACES, DECODE_STRIP
 *                     steps from ids to text
 *   DECODE_NOTHING    the table has no decoder: tokens with spaces between
 */
#ifndef EDGESLM_TOKENIZER_H
#define EDGESLM_TOKENIZER_H

#include <stdint.h>

enum {
  EDGESLM_TOKENIZER_TOO_LONG = -1,   /* more memory, or more tries of a pattern, than there are */
  EDGESLM_TOKENIZER_NOT_UTF8 = -2,
  EDGESLM_TOKENIZER_DAMAGED = -3,    /* the table was cut short, or changed */
  EDGESLM_TOKENIZER_UNSUPPORTED = -4 /* the table needs what this build has not; looked for in models and steps alone */
};

/* The table's sections, in order of their tags. */
enum {
  EDGESLM_ADDT, EDGESLM_BYTE, EDGESLM_CLAS, EDGESLM_COMP, EDGESLM_DECO, EDGESLM_MAPS, EDGESLM_MARK, EDGESLM_MODL,
  EDGESLM_MRGE, EDGESLM_MRGL, EDGESLM_NORM, EDGESLM_POST, EDGESLM_PRET, EDGESLM_PROG, EDGESLM_TEXT, EDGESLM_TOKI,
  EDGESLM_TOKS, EDGESLM_TOKT,
  EDGESLM_SECTIONS
};

typedef struct {
  const uint8_t *start[EDGESLM_SECTIONS];
  uint32_t bytes[EDGESLM_SECTIONS];
  uint32_t tokens; /* the model's ids are below */
  uint8_t decodes; /* the table has a decoder, perhaps an empty one */
} edgeslm_tokenizer;

/* Open the table (size; at an address divisible by 8), which must stay where it is. 0, or an error: a struct
 * that was zero has no tokens then. */
int edgeslm_tokenizer_open(edgeslm_tokenizer *tokenizer, const void *table, uint32_t size);

/* Ids of a text (bytes, UTF-8), with those that the tokenizer puts around every text. Returns their count, of which the
 * first `most` lie in ids, or an error. `work` (work_bytes) is written over; features.py says how much always suffices.
 * It may not overlap the text. */
int32_t edgeslm_tokenizer_encode(const edgeslm_tokenizer *tokenizer, const char *text, uint32_t bytes, void *work,
                                 uint32_t work_bytes, uint32_t *ids, uint32_t most);

/* How far a character of UTF-8 has come: bytes that are still to come, and what the next one must lie between. */
typedef struct {
  uint8_t left, low, high;
} edgeslm_utf8;

#define EDGESLM_TOKENIZER_LONG_RUN 32u

/* An answer's text, token by token. */
typedef struct {
  const edgeslm_tokenizer *tokenizer;
  uint8_t *out;
  uint32_t most, bytes, full;
  uint32_t strips; /* characters that may still go from the front of the whole text */
  uint8_t skips;   /* special tokens have no text */
  uint8_t begun;   /* there was a text */
  uint8_t behind;  /* the step that follows the fallback to bytes, if there is one */
  uint8_t run;     /* of byte tokens: its state */
  uint8_t count;   /* bytes that are held */
  edgeslm_utf8 utf8;
  uint8_t held[EDGESLM_TOKENIZER_LONG_RUN + 3u];
} edgeslm_tokenizer_decoder;

/* Begin a text. `skip_special`: special tokens give no text. */
void edgeslm_tokenizer_decode_begin(edgeslm_tokenizer_decoder *decoder, const edgeslm_tokenizer *tokenizer,
                                    int skip_special);

/* The text that is certain with one more token: its bytes in `out` (most), or an error. What was ever given, with what
 * decode_end gives, is the text of all tokens; the beginning of a character is held back, and so is a run of byte tokens
 * until it ends or has 32 bytes. Ids without a token have no text. `out` is written over; features.py says how much of
 * it always suffices. */
int32_t edgeslm_tokenizer_decode(edgeslm_tokenizer_decoder *decoder, uint32_t id, char *out, uint32_t most);

/* The rest, with U+FFFD where a character is not whole. The next token begins a new text. */
int32_t edgeslm_tokenizer_decode_end(edgeslm_tokenizer_decoder *decoder, char *out, uint32_t most);

#endif
