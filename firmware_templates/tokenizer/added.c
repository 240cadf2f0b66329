/* Added tokens: found in the text before the model sees it, whatever the model would make of them. */
#include "parts.h"

#if EDGESLM_TOKENIZER_ADDED

/* The longest added token that a text begins with, or NULL. Of equal ones the first counts. */
static const edgeslm_added_record *begins_with(const edgeslm_tokenizer *tokenizer, const uint8_t *text, uint32_t left,
                                               uint32_t normalized, uint32_t *bytes) {
  const edgeslm_added_record *record = EDGESLM_RECORDS(tokenizer, EDGESLM_ADDT, edgeslm_added_record), *best = NULL;
  *bytes = 0;
  for (uint32_t count = tokenizer->bytes[EDGESLM_ADDT] >> 4; count; count--, record++) {
    if ((record->flags & EDGESLM_ADDED_NORMALIZED) != normalized) continue;
    edgeslm_span pattern = edgeslm_token_text(tokenizer, record->pattern);
    if (pattern.bytes > *bytes && edgeslm_token_begins(text, left, pattern)) {
      *bytes = pattern.bytes;
      best = record;
    }
  }
  return best;
}

#if EDGESLM_TOKENIZER_ADDED_BESIDE
/* Where the character before `place` begins; 0 < place. */
static uint32_t back(const uint8_t *text, uint32_t place) {
  do place--;
  while (place && (text[place] & 0xc0u) == 0x80u);
  return place;
}

/* The bytes of the character at `place`, if it is of the set; else 0. */
static uint32_t bytes_of(const edgeslm_tokenizer *tokenizer, edgeslm_span text, uint32_t place, uint32_t set) {
  const uint8_t *start = text.text + place, *from = start;
  if (place >= text.bytes) return 0;
  if (!(edgeslm_class_of(tokenizer, edgeslm_utf8_next(&from, text.text + text.bytes)) & set)) return 0;
  return (uint32_t)(from - start);
}

/* What stands beside a match: 0 where the match does not count, else 1, with the space that it takes. `at`: what comes
 * before is taken. */
static int looks_beside(const edgeslm_tokenizer *tokenizer, edgeslm_span text, uint32_t flags, uint32_t at,
                        uint32_t *start, uint32_t *end) {
  const edgeslm_model_record *model = edgeslm_model_of(tokenizer);
  if (flags & EDGESLM_ADDED_SINGLE_WORD) {
    if (*start && bytes_of(tokenizer, text, back(text.text, *start), model->word)) return 0;
    if (bytes_of(tokenizer, text, *end, model->word)) return 0;
  }
  if (flags & EDGESLM_ADDED_LEFT)
    while (*start > at && bytes_of(tokenizer, text, back(text.text, *start), model->space))
      *start = back(text.text, *start);
  if (flags & EDGESLM_ADDED_RIGHT)
    for (uint32_t more = 1; more; *end += more) more = bytes_of(tokenizer, text, *end, model->space);
  return 1;
}
#endif

void edgeslm_added_split(edgeslm_encoding *encoding, const edgeslm_piece *piece, uint32_t normalized, uint32_t step) {
  uint32_t at = 0; /* what comes before is taken */
  for (uint32_t place = 0; place < piece->bytes;) {
    uint32_t bytes;
    const edgeslm_added_record *record =
        begins_with(encoding->tokenizer, piece->text + place, piece->bytes - place, normalized, &bytes);
    if (record == NULL) {
      place++;
      continue;
    }
    uint32_t start = place, end = place += bytes;
#if EDGESLM_TOKENIZER_ADDED_BESIDE
    const edgeslm_span text = {piece->text, piece->bytes};
    if (!looks_beside(encoding->tokenizer, text, record->flags, at, &start, &end)) continue;
#endif
    edgeslm_encoding_part(encoding, piece, at, start > at ? start : at, step);
    edgeslm_encoding_emit(encoding, record->id);
    at = end;
  }
  edgeslm_encoding_part(encoding, piece, at, at < piece->bytes ? piece->bytes : at, step);
}

#endif
