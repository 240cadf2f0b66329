/* A text through all steps, piece by piece: a piece is gone through to its ids before the next one is looked at. */
#include "parts.h"

enum { MAP = 1, REORDER, COMPOSE, CHARSMAP, STRIP, SUBSTITUTE, PREFIX, SPLIT };

void edgeslm_encoding_emit(edgeslm_encoding *encoding, uint32_t id) {
  if (encoding->count < encoding->most) encoding->ids[encoding->count] = id;
  encoding->count++;
}

void edgeslm_encoding_part(edgeslm_encoding *encoding, const edgeslm_piece *piece, uint32_t start, uint32_t end,
                           uint32_t step) {
  edgeslm_piece part = *piece;
  part.text += start;
  part.bytes = end - start;
  part.first = piece->first && start == 0;
  /* A piece that lies in the working memory stays there: what becomes of its part comes behind it. */
  if (part.bytes != piece->bytes &&
      (uintptr_t)piece->text - (uintptr_t)piece->base < (uintptr_t)encoding->end - (uintptr_t)piece->base)
    part.base += (uintptr_t)piece->text - (uintptr_t)piece->base + piece->bytes;
  edgeslm_encoding_run(encoding, &part, step);
}

/* ---- Steps that write a piece anew --------------------------------------------------------------------------------- */

#if EDGESLM_TOKENIZER_MAP
/* MAPS */
typedef struct {
  uint32_t first;
  uint16_t count;
  uint8_t stride, kind;
  int32_t value;
} map_record;

enum { SHIFT, TEXT, SYLLABLE };

#if EDGESLM_TOKENIZER_MAP_TEXTS
static void write_text(edgeslm_rewrite *rewrite, edgeslm_span text, uint32_t character) {
  for (uint32_t i = 0; i < text.bytes; i++) {
    if (text.text[i] == 0xffu)
      edgeslm_rewrite_character(rewrite, character);
    else
      edgeslm_rewrite_byte(rewrite, text.text[i]);
  }
}

static void write_syllable(edgeslm_rewrite *rewrite, uint32_t place) {
  uint32_t lead = place / 588u, rest = place - 588u * lead, vowel = rest / 28u, trail = rest - 28u * vowel;
  edgeslm_rewrite_character(rewrite, 0x1100u + lead);
  edgeslm_rewrite_character(rewrite, 0x1161u + vowel);
  if (trail) edgeslm_rewrite_character(rewrite, 0x11a7u + trail);
}
#endif

/* What a character becomes by the `count` ranges from `ranges` on. */
static void write_mapped(const edgeslm_tokenizer *tokenizer, edgeslm_rewrite *rewrite, const map_record *ranges,
                         uint32_t count, uint32_t character) {
  uint32_t low = 0;
  while (low < count) {
    uint32_t middle = (low + count) / 2u;
    if (ranges[middle].first <= character)
      low = middle + 1u;
    else
      count = middle;
  }
  if (low) {
    const map_record *range = ranges + low - 1u;
    uint32_t beyond = character - range->first;
    if (beyond < (uint32_t)range->count * range->stride && !(beyond & (range->stride - 1u))) {
#if EDGESLM_TOKENIZER_MAP_TEXTS
      if (range->kind == TEXT) {
        write_text(rewrite, edgeslm_token_text(tokenizer, (uint32_t)range->value), character);
        return;
      }
      if (range->kind == SYLLABLE) {
        write_syllable(rewrite, beyond);
        return;
      }
#else
      (void)tokenizer;
#endif
      character = (character + (uint32_t)range->value) & 0x1fffffu;
    }
  }
  edgeslm_rewrite_character(rewrite, character);
}

static void map(const edgeslm_tokenizer *tokenizer, edgeslm_rewrite *rewrite, edgeslm_piece *piece,
                const edgeslm_step_record *record) {
  uint32_t bytes = tokenizer->bytes[EDGESLM_MAPS] / (uint32_t)sizeof(map_record);
  if (record->x > bytes || record->y > bytes - record->x) return;
  const map_record *ranges = EDGESLM_RECORDS(tokenizer, EDGESLM_MAPS, map_record) + record->x;
  while (rewrite->from < rewrite->end) {
    write_mapped(tokenizer, rewrite, ranges, record->y, edgeslm_utf8_next(&rewrite->from, rewrite->end));
    if (rewrite->at == piece->base) piece->first = 0; /* a first character that goes takes the beginning with it */
  }
}
#endif

#if EDGESLM_TOKENIZER_SUBSTITUTE
static void substitute(edgeslm_encoding *encoding, edgeslm_rewrite *rewrite, edgeslm_piece *piece,
                       const edgeslm_step_record *record) {
  const edgeslm_span text = {rewrite->from, (uint32_t)(rewrite->end - rewrite->from)};
  const edgeslm_span content = edgeslm_token_text(encoding->tokenizer, record->z);
  uint32_t start = 0, end = 0;
  while (edgeslm_pattern_search(encoding, record, text, &start, &end)) {
    const uint8_t *first = text.text;
    if (start == 0) {
      /* What stands for several characters counts as the last of them. */
      edgeslm_utf8_next(&first, rewrite->end);
      if (first != text.text + end || content.bytes == 0) piece->first = 0;
    }
    while (rewrite->from < text.text + start) {
      uint32_t byte = *rewrite->from++;
      edgeslm_rewrite_byte(rewrite, byte);
    }
    rewrite->from = text.text + end;
    edgeslm_rewrite_text(rewrite, content);
    start = end;
  }
  edgeslm_rewrite_rest(rewrite);
}
#endif

#if EDGESLM_TOKENIZER_STRIP
static void strip(const edgeslm_tokenizer *tokenizer, edgeslm_piece *piece, const edgeslm_step_record *record) {
  const uint8_t *from = piece->text, *end = from + piece->bytes, *first = end, *kept = from;
  while (from < end) {
    const uint8_t *place = from;
    if (edgeslm_class_of(tokenizer, edgeslm_utf8_next(&from, end)) & record->x) continue;
    if (first == end) first = place;
    kept = from;
  }
  if (!record->a) first = piece->text;
  if (!record->b) kept = end;
  piece->first = piece->first && first == piece->text;
  piece->bytes = kept > first ? (uint32_t)(kept - first) : 0u;
  piece->text = first;
}
#endif

#if EDGESLM_TOKENIZER_PREFIX
static int wants_prefix(const edgeslm_piece *piece, const edgeslm_step_record *record, edgeslm_span prefix) {
  if (record->b && !piece->first) return 0;
  return !record->a || !edgeslm_token_begins(piece->text, piece->bytes, prefix);
}
#endif

#if EDGESLM_TOKENIZER_STRIP || EDGESLM_TOKENIZER_PREFIX || EDGESLM_TOKENIZER_MAP || EDGESLM_TOKENIZER_FORMS || \
    EDGESLM_TOKENIZER_SUBSTITUTE
#define TAKES_STEPS 1
/* One step, but SPLIT. */
static void take_step(edgeslm_encoding *encoding, edgeslm_piece *piece, const edgeslm_step_record *record) {
  const edgeslm_tokenizer *tokenizer = encoding->tokenizer;
  edgeslm_rewrite rewrite;
  (void)tokenizer;
#if EDGESLM_TOKENIZER_STRIP
  if (record->kind == STRIP) {
    strip(tokenizer, piece, record);
    return;
  }
#endif
#if EDGESLM_TOKENIZER_PREFIX
  const edgeslm_span prefix = edgeslm_token_text(tokenizer, record->x);
  if (record->kind == PREFIX && !wants_prefix(piece, record, prefix)) return;
#endif
  edgeslm_rewrite_begin(&rewrite, piece->base, encoding->end, piece->text, piece->bytes);
  switch (record->kind) {
#if EDGESLM_TOKENIZER_MAP
    case MAP: map(tokenizer, &rewrite, piece, record); break;
#endif
#if EDGESLM_TOKENIZER_FORMS
    case REORDER: edgeslm_forms_reorder(tokenizer, &rewrite); break;
    case COMPOSE: edgeslm_forms_compose(tokenizer, &rewrite); break;
#endif
#if EDGESLM_TOKENIZER_SUBSTITUTE
    case SUBSTITUTE: substitute(encoding, &rewrite, piece, record); break;
#endif
#if EDGESLM_TOKENIZER_PREFIX
    case PREFIX:
      edgeslm_rewrite_text(&rewrite, prefix);
      edgeslm_rewrite_rest(&rewrite);
      break;
#endif
    default: encoding->problem = EDGESLM_TOKENIZER_UNSUPPORTED;
  }
  if (rewrite.full) encoding->problem = EDGESLM_TOKENIZER_TOO_LONG;
  piece->text = piece->base;
  piece->bytes = (uint32_t)(rewrite.at - piece->base);
}
#endif

/* ---- The whole way ------------------------------------------------------------------------------------------------- */

void edgeslm_encoding_run(edgeslm_encoding *encoding, edgeslm_piece *piece, uint32_t step) {
  const edgeslm_tokenizer *tokenizer = encoding->tokenizer;
  uint32_t before = tokenizer->bytes[EDGESLM_NORM] >> 4, all = before + 1u + (tokenizer->bytes[EDGESLM_PRET] >> 4);
  for (; piece->bytes && step < all; step++) {
    const edgeslm_step_record *record = EDGESLM_RECORDS(tokenizer, EDGESLM_NORM, edgeslm_step_record) + step;
    if (step == before) {
#if EDGESLM_TOKENIZER_ADDED_NORMALIZED
      edgeslm_added_split(encoding, piece, EDGESLM_ADDED_NORMALIZED, step + 1u);
      return;
#else
      continue;
#endif
    }
    if (step > before) record = EDGESLM_RECORDS(tokenizer, EDGESLM_PRET, edgeslm_step_record) + step - before - 1u;
#if EDGESLM_TOKENIZER_SPLIT
    if (record->kind == SPLIT) {
      edgeslm_split(encoding, piece, record, step + 1u);
      return;
    }
#endif
#if TAKES_STEPS
    take_step(encoding, piece, record);
#else
    (void)record;
    encoding->problem = EDGESLM_TOKENIZER_UNSUPPORTED;
#endif
  }
  if (piece->bytes == 0) return;
#if EDGESLM_TOKENIZER_WORDPIECE
  if (edgeslm_model_of(tokenizer)->kind == EDGESLM_MODEL_WORDPIECE) edgeslm_wordpiece(encoding, piece);
#endif
#if EDGESLM_TOKENIZER_BPE
  if (edgeslm_model_of(tokenizer)->kind == EDGESLM_MODEL_BPE) edgeslm_bpe(encoding, piece);
#endif
}

static int is_utf8(const uint8_t *text, uint32_t bytes) {
  edgeslm_utf8 utf8 = {0, 0, 0};
  while (bytes--)
    if (edgeslm_utf8_feed(&utf8, *text++) < 0) return 0;
  return utf8.left == 0;
}

int32_t edgeslm_tokenizer_encode(const edgeslm_tokenizer *tokenizer, const char *text, uint32_t bytes, void *work,
                                 uint32_t work_bytes, uint32_t *ids, uint32_t most) {
  edgeslm_encoding encoding = {tokenizer, (uint8_t *)work + work_bytes, ids, most, 0, 0, 0};
  edgeslm_piece piece = {(const uint8_t *)text, bytes, work, 1};
  const uint32_t *post = EDGESLM_RECORDS(tokenizer, EDGESLM_POST, uint32_t);
  uint32_t around = tokenizer->bytes[EDGESLM_POST] >> 2, i = 1;
  if (!is_utf8(piece.text, bytes)) return EDGESLM_TOKENIZER_NOT_UTF8;
  for (; i <= post[0]; i++) edgeslm_encoding_emit(&encoding, post[i]);
#if EDGESLM_TOKENIZER_ADDED
  edgeslm_added_split(&encoding, &piece, 0, 0);
#else
  edgeslm_encoding_run(&encoding, &piece, 0);
#endif
  for (; i < around; i++) edgeslm_encoding_emit(&encoding, post[i]);
  return encoding.problem ? encoding.problem : (int32_t)encoding.count;
}
