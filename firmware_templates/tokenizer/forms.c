/* Unicode's normal forms (UAX #15), for text that a map has decomposed: marks in order, then composed. */
#include "parts.h"

#if EDGESLM_TOKENIZER_FORMS

enum {
  LEADS = 0x1100, VOWELS = 0x1161, TRAILS = 0x11a7, SYLLABLES = 0xac00,
  LEAD_COUNT = 19, VOWEL_COUNT = 21, TRAIL_COUNT = 28
};

/* MARK */
typedef struct {
  uint32_t first;
  uint16_t count, number;
} mark_record;

/* COMP */
typedef struct {
  uint32_t first, second, composite;
} pair_record;

/* The canonical combining class. */
static uint32_t combines(const edgeslm_tokenizer *tokenizer, uint32_t character) {
  const mark_record *marks = EDGESLM_RECORDS(tokenizer, EDGESLM_MARK, mark_record);
  uint32_t low = 0, high = tokenizer->bytes[EDGESLM_MARK] >> 3;
  while (low < high) {
    uint32_t middle = (low + high) / 2u;
    if (marks[middle].first <= character)
      low = middle + 1u;
    else
      high = middle;
  }
  if (low == 0 || character - marks[low - 1u].first >= marks[low - 1u].count) return 0;
  return marks[low - 1u].number;
}

/* Each mark moves before those of a higher class: few stand in a row. */
void edgeslm_forms_reorder(const edgeslm_tokenizer *tokenizer, edgeslm_rewrite *rewrite) {
  uint8_t *base = rewrite->at;
  while (rewrite->from < rewrite->end) {
    uint32_t character = edgeslm_utf8_next(&rewrite->from, rewrite->end), number = combines(tokenizer, character);
    uint8_t *before = rewrite->at, *place = before;
    edgeslm_rewrite_character(rewrite, character);
    if (rewrite->full) return;
    while (number && place > base) {
      uint8_t *there = place;
      do there--;
      while (there > base && (*there & 0xc0u) == 0x80u);
      const uint8_t *from = there;
      if (combines(tokenizer, edgeslm_utf8_next(&from, place)) <= number) break;
      place = there;
    }
    uint32_t bytes = (uint32_t)(rewrite->at - before);
    while (before > place) {
      before--;
      before[bytes] = *before;
    }
    edgeslm_rewrite one = {place, place + bytes, NULL, 0};
    edgeslm_rewrite_character(&one, character);
  }
}

/* What two characters compose to, or 0. */
static uint32_t composite(const edgeslm_tokenizer *tokenizer, uint32_t first, uint32_t second) {
  uint32_t lead = first - LEADS, vowel = second - VOWELS, place = first - SYLLABLES, trail = second - TRAILS;
  if (lead < LEAD_COUNT && vowel < VOWEL_COUNT) return SYLLABLES + (lead * VOWEL_COUNT + vowel) * TRAIL_COUNT;
  if (place < LEAD_COUNT * VOWEL_COUNT * TRAIL_COUNT && trail - 1u < TRAIL_COUNT - 1u && place % TRAIL_COUNT == 0)
    return first + trail;
  const pair_record *pairs = EDGESLM_RECORDS(tokenizer, EDGESLM_COMP, pair_record);
  uint32_t low = 0, high = tokenizer->bytes[EDGESLM_COMP] / (uint32_t)sizeof(pair_record);
  while (low < high) {
    const pair_record *pair = pairs + (low + high) / 2u;
    if (pair->first == first && pair->second == second) return pair->composite & 0x1fffffu;
    if (pair->first < first || (pair->first == first && pair->second < second))
      low = (low + high) / 2u + 1u;
    else
      high = (low + high) / 2u;
  }
  return 0;
}

/* The character at `place` becomes another; what is behind it moves. */
static void exchange(edgeslm_rewrite *rewrite, uint8_t *place, uint32_t character) {
  uint8_t bytes[4];
  edgeslm_rewrite one = {bytes, bytes + 4, NULL, 0};
  const uint8_t *behind = place;
  edgeslm_utf8_next(&behind, rewrite->at);
  edgeslm_rewrite_character(&one, character);
  uint32_t now = (uint32_t)(one.at - bytes), old = (uint32_t)(behind - place);
  uint32_t rest = (uint32_t)(rewrite->at - behind);
  if (now > old + (uint32_t)(rewrite->from - rewrite->at)) {
    rewrite->full = 1;
    return;
  }
  if (now <= old)
    for (uint32_t i = 0; i < rest; i++) place[now + i] = place[old + i];
  else
    for (uint32_t i = rest; i; i--) place[now + i - 1u] = place[old + i - 1u];
  for (uint32_t i = 0; i < now; i++) place[i] = bytes[i];
  rewrite->at = place + now + rest;
}

void edgeslm_forms_compose(const edgeslm_tokenizer *tokenizer, edgeslm_rewrite *rewrite) {
  uint8_t *starter = NULL;
  uint32_t first = 0, last = 0; /* the starter; the class of the character before, 0 where that is the starter */
  while (rewrite->from < rewrite->end) {
    uint32_t character = edgeslm_utf8_next(&rewrite->from, rewrite->end), number = combines(tokenizer, character);
    if (starter && (last == 0 || last < number)) {
      uint32_t made = composite(tokenizer, first, character);
      if (made) {
        exchange(rewrite, starter, first = made);
        continue;
      }
    }
    last = number;
    if (number == 0) {
      starter = rewrite->at;
      first = character;
    }
    edgeslm_rewrite_character(rewrite, character);
    if (rewrite->full) return;
  }
}

#endif
