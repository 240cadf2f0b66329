/* What the tokenizer's files have from each other. Not for other files. */
#ifndef EDGESLM_TOKENIZER_PARTS_H
#define EDGESLM_TOKENIZER_PARTS_H

#include <stddef.h>

#include "tokenizer.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the table is read in place, and it is little-endian"
#endif

#define EDGESLM_NONE 0xffffffffu
#define EDGESLM_MOST_SPLITS 8u /* nested: each takes stack */
#define EDGESLM_MOST_DECODER_STEPS 8u
#define EDGESLM_MOST_WAYS 24u  /* that a pattern leaves open at one time */
#define EDGESLM_MOST_TRIES (1u << 20) /* of a pattern at one place */

#if EDGESLM_TOKENIZER_ID_BYTES == 4
typedef uint32_t edgeslm_id;
#else
typedef uint16_t edgeslm_id;
#endif

typedef struct {
  const uint8_t *text;
  uint32_t bytes;
} edgeslm_span;

/* MODL */
typedef struct {
  uint8_t kind, flags, width, score_width;
  uint32_t tokens, unknown, longest, prefix, space, word, zero;
} edgeslm_model_record;

enum { EDGESLM_MODEL_BPE = 1, EDGESLM_MODEL_WORDPIECE = 2 };
enum { EDGESLM_FLAG_FALLBACK = 1, EDGESLM_FLAG_FUSED = 2, EDGESLM_FLAG_WHOLE = 4, EDGESLM_FLAG_BYTES = 8 };

/* NORM, PRET */
typedef struct {
  uint8_t kind, a;
  uint16_t b;
  uint32_t x, y, z;
} edgeslm_step_record;

/* ADDT */
typedef struct {
  uint32_t id, pattern, shown, flags;
} edgeslm_added_record;

enum {
  EDGESLM_ADDED_SINGLE_WORD = 1, EDGESLM_ADDED_LEFT = 2, EDGESLM_ADDED_RIGHT = 4, EDGESLM_ADDED_NORMALIZED = 8,
  EDGESLM_ADDED_SPECIAL = 16
};

/* ---- table.c ------------------------------------------------------------------------------------------------------- */

/* A section as records; aligned to 8 as the table is. */
#define EDGESLM_RECORDS(tokenizer, tag, type) ((const type *)(const void *)(tokenizer)->start[tag])

static inline const edgeslm_model_record *edgeslm_model_of(const edgeslm_tokenizer *tokenizer) {
  return EDGESLM_RECORDS(tokenizer, EDGESLM_MODL, edgeslm_model_record);
}

/* A text of the pool; an empty one where the offset lies outside. */
edgeslm_span edgeslm_token_text(const edgeslm_tokenizer *tokenizer, uint32_t offset);

/* The bytes of the model's token; none where the id has no token. */
edgeslm_span edgeslm_token_bytes(const edgeslm_tokenizer *tokenizer, uint32_t id);

/* The id of the token that these bytes are, or EDGESLM_NONE. */
uint32_t edgeslm_token_find(const edgeslm_tokenizer *tokenizer, const uint8_t *text, uint32_t bytes);

/* Whether a text begins with another. */
int edgeslm_token_begins(const uint8_t *text, uint32_t bytes, edgeslm_span other);

/* ---- utf8.c -------------------------------------------------------------------------------------------------------- */

/* 1 where a character ends with this byte, 0 where it goes on, -1 where the byte cannot come here (begin anew). */
int edgeslm_utf8_feed(edgeslm_utf8 *utf8, uint8_t byte);

/* The character at *from, which moves behind it; *from < end. */
uint32_t edgeslm_utf8_next(const uint8_t **from, const uint8_t *end);

/* A text written anew over itself: it is moved to the end of the memory, and read there while it is written from the
 * front on. `full` is set where they meet. */
typedef struct {
  uint8_t *at;
  const uint8_t *from, *end;
  uint32_t full;
} edgeslm_rewrite;

void edgeslm_rewrite_begin(edgeslm_rewrite *rewrite, uint8_t *base, uint8_t *end, const uint8_t *text, uint32_t bytes);
void edgeslm_rewrite_byte(edgeslm_rewrite *rewrite, uint32_t byte);
void edgeslm_rewrite_character(edgeslm_rewrite *rewrite, uint32_t character);
void edgeslm_rewrite_text(edgeslm_rewrite *rewrite, edgeslm_span text);
/* All that is not read. */
void edgeslm_rewrite_rest(edgeslm_rewrite *rewrite);

/* ---- encode.c ------------------------------------------------------------------------------------------------------ */

typedef struct {
  const edgeslm_tokenizer *tokenizer;
  uint8_t *end; /* of the working memory */
  uint32_t *ids;
  uint32_t most, count;
  uint32_t splits; /* nested, now */
  int32_t problem; /* an error, or 0: the text is gone through all the same */
} edgeslm_encoding;

/* A part of the text. */
typedef struct {
  const uint8_t *text;
  uint32_t bytes;
  uint8_t *base;  /* from here on, memory may be written over once the piece has been read; the piece may lie there */
  uint32_t first; /* its first character is the first of the whole text */
} edgeslm_piece;

void edgeslm_encoding_emit(edgeslm_encoding *encoding, uint32_t id);

/* What becomes of a piece, the steps from `step` on and the model. NORM's steps count first, then one that looks for
 * added tokens in normalized text, then PRET's. */
void edgeslm_encoding_run(edgeslm_encoding *encoding, edgeslm_piece *piece, uint32_t step);

/* The part of a piece from `start` to `end`, from `step` on. The piece itself is kept, unless that is all of it. */
void edgeslm_encoding_part(edgeslm_encoding *encoding, const edgeslm_piece *piece, uint32_t start, uint32_t end,
                           uint32_t step);

/* ---- Added tokens, steps and models -------------------------------------------------------------------------------- */

void edgeslm_added_split(edgeslm_encoding *encoding, const edgeslm_piece *piece, uint32_t normalized, uint32_t step);

void edgeslm_forms_reorder(const edgeslm_tokenizer *tokenizer, edgeslm_rewrite *rewrite);
void edgeslm_forms_compose(const edgeslm_tokenizer *tokenizer, edgeslm_rewrite *rewrite);
void edgeslm_split(edgeslm_encoding *encoding, const edgeslm_piece *piece, const edgeslm_step_record *record,
                   uint32_t step);

void edgeslm_bpe(edgeslm_encoding *encoding, const edgeslm_piece *word);
void edgeslm_wordpiece(edgeslm_encoding *encoding, const edgeslm_piece *word);

/* ---- pattern.c ----------------------------------------------------------------------------------------------------- */

/* The set of the character's class alone. */
uint32_t edgeslm_class_of(const edgeslm_tokenizer *tokenizer, uint32_t character);

/* The first match of a step's pattern in text from *start on: 1 with *start and *end, or 0. */
int edgeslm_pattern_search(edgeslm_encoding *encoding, const edgeslm_step_record *record, edgeslm_span text,
                           uint32_t *start, uint32_t *end);

#endif
