/* Classes of characters, and the patterns over them that cut a text into words. */
#include "parts.h"

#if EDGESLM_TOKENIZER_SPLIT || EDGESLM_TOKENIZER_SUBSTITUTE || EDGESLM_TOKENIZER_STRIP || EDGESLM_TOKENIZER_ADDED_BESIDE
uint32_t edgeslm_class_of(const edgeslm_tokenizer *tokenizer, uint32_t character) {
  const uint32_t *starts = EDGESLM_RECORDS(tokenizer, EDGESLM_CLAS, uint32_t);
  uint32_t low = 0, high = tokenizer->bytes[EDGESLM_CLAS] >> 2;
  while (low < high) {
    uint32_t middle = (low + high) / 2u;
    if (starts[middle] >> 8 <= character)
      low = middle + 1u;
    else
      high = middle;
  }
  return low ? 1u << (starts[low - 1u] & 31u) : 0u;
}
#endif

#if EDGESLM_TOKENIZER_SPLIT || EDGESLM_TOKENIZER_SUBSTITUTE

/* PROG */
typedef struct {
  uint8_t operation, least, most, possessive;
  uint32_t value;
} instruction;

enum { MATCH, RUN, NOT_NEXT, FORK, JUMP };
enum { UNLIMITED = 255 };

/* A way that is left: from instruction `next` on with place; where that fails, with one character less, down to least. */
typedef struct {
  uint32_t next, place, least;
} way;

/* The end of the match at `start`: greater than start, 0 where there is none, or an error. */
static int32_t match(const edgeslm_tokenizer *tokenizer, const instruction *program, uint32_t count, edgeslm_span text,
                     uint32_t start) {
  const uint8_t *end = text.text + text.bytes;
  way ways[EDGESLM_MOST_WAYS];
  uint32_t left = 0, next = 0, place = start;
  for (uint32_t tries = EDGESLM_MOST_TRIES; tries; tries--) {
    if (next >= count) return EDGESLM_TOKENIZER_DAMAGED;
    const instruction *at = program + next++;
    const uint8_t *from = text.text + place;
    int fails = 0;
    switch (at->operation) {
      case MATCH: return place > start ? (int32_t)place : EDGESLM_TOKENIZER_DAMAGED;
      case RUN: {
        uint32_t times = 0, least = place;
        while ((times < at->most || at->most == UNLIMITED) && from < end) {
          if (!(edgeslm_class_of(tokenizer, edgeslm_utf8_next(&from, end)) & at->value)) break;
          place = (uint32_t)(from - text.text);
          if (++times == at->least) least = place;
        }
        fails = times < at->least;
        if (fails || at->possessive || place == least) break;
        if (left == EDGESLM_MOST_WAYS) return EDGESLM_TOKENIZER_UNSUPPORTED;
        ways[left++] = (way){next, place, least};
        break;
      }
      case NOT_NEXT:
        fails = from < end && edgeslm_class_of(tokenizer, edgeslm_utf8_next(&from, end)) & at->value;
        break;
      case FORK:
        if (left == EDGESLM_MOST_WAYS) return EDGESLM_TOKENIZER_UNSUPPORTED;
        if (at->value < next) return EDGESLM_TOKENIZER_DAMAGED;
        ways[left++] = (way){at->value, place, place};
        break;
      case JUMP:
        if (at->value < next) return EDGESLM_TOKENIZER_DAMAGED;
        next = at->value;
        break;
      default: return EDGESLM_TOKENIZER_DAMAGED;
    }
    if (!fails) continue;
    if (left == 0) return 0;
    way *last = ways + left - 1u;
    if (last->place > last->least) {
      do last->place--;
      while (last->place > last->least && (text.text[last->place] & 0xc0u) == 0x80u);
      if (last->place == last->least) left--;
    } else {
      left--;
    }
    next = last->next;
    place = last->place;
  }
  return EDGESLM_TOKENIZER_TOO_LONG;
}

int edgeslm_pattern_search(edgeslm_encoding *encoding, const edgeslm_step_record *record, edgeslm_span text,
                           uint32_t *start, uint32_t *end) {
  const edgeslm_tokenizer *tokenizer = encoding->tokenizer;
  const instruction *program = EDGESLM_RECORDS(tokenizer, EDGESLM_PROG, instruction) + record->x;
  uint32_t all = tokenizer->bytes[EDGESLM_PROG] >> 3;
  if (record->x > all || record->y > all - record->x) encoding->problem = EDGESLM_TOKENIZER_DAMAGED;
  while (*start < text.bytes && !encoding->problem) {
    int32_t found = match(tokenizer, program, record->y, text, *start);
    if (found < 0) encoding->problem = found;
    if (found > 0) {
      *end = (uint32_t)found;
      return 1;
    }
    const uint8_t *from = text.text + *start;
    edgeslm_utf8_next(&from, text.text + text.bytes);
    *start = (uint32_t)(from - text.text);
  }
  return 0;
}
#endif

#if EDGESLM_TOKENIZER_SPLIT

enum { REMOVED, ISOLATED, CONTIGUOUS, WITH_PREVIOUS, WITH_NEXT };

/* What is cut off, but may still grow. */
typedef struct {
  uint32_t start, end, matched;
} cut;

/* The next part of a piece: it joins the one before, or lets it go on its way. */
static void add(edgeslm_encoding *encoding, const edgeslm_piece *piece, uint32_t behavior, uint32_t step, cut *last,
                uint32_t end, uint32_t matched) {
  uint32_t joins = behavior == CONTIGUOUS      ? last->matched == matched
                   : behavior == WITH_PREVIOUS ? matched && !last->matched
                   : behavior == WITH_NEXT     ? !matched && last->matched
                                               : 0;
  if (!joins) {
    if (behavior != REMOVED || !last->matched) edgeslm_encoding_part(encoding, piece, last->start, last->end, step);
    last->start = last->end;
  }
  last->end = end;
  last->matched = matched;
}

void edgeslm_split(edgeslm_encoding *encoding, const edgeslm_piece *piece, const edgeslm_step_record *record,
                   uint32_t step) {
  const edgeslm_span text = {piece->text, piece->bytes};
  uint32_t start = 0, end = 0, inverted = record->b != 0;
  cut last = {0, 0, 0};
  if (encoding->splits == EDGESLM_MOST_SPLITS) {
    encoding->problem = EDGESLM_TOKENIZER_UNSUPPORTED;
    return;
  }
  encoding->splits++;
  while (end < text.bytes) {
    uint32_t at = start = end;
    if (!edgeslm_pattern_search(encoding, record, text, &start, &end)) start = end = text.bytes;
    if (start > at) add(encoding, piece, record->a, step, &last, start, inverted);
    if (end > start) add(encoding, piece, record->a, step, &last, end, !inverted);
  }
  add(encoding, piece, record->a == REMOVED ? REMOVED : ISOLATED, step, &last, end, 0);
  encoding->splits--;
}

#endif
