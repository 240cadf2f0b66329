/* Byte pairs: of all neighbours the pair that was learnt first is merged, the leftmost of equals, until none is left. */
#include "parts.h"

#if EDGESLM_TOKENIZER_BPE

static void push(edgeslm_rewrite *symbols, uint32_t id) {
  if ((uint32_t)(symbols->from - symbols->at) < sizeof(edgeslm_id)) {
    symbols->full = 1;
    return;
  }
  *(edgeslm_id *)(void *)symbols->at = (edgeslm_id)id;
  symbols->at += sizeof(edgeslm_id);
}

#if EDGESLM_TOKENIZER_BYTE_FALLBACK
/* The bytes before symbols->from, from `start` on, as ids; 0 where one of them has none. */
static int spell(edgeslm_rewrite *symbols, const uint32_t *ids, const uint8_t *start) {
  const uint8_t *end = symbols->from;
#if EDGESLM_TOKENIZER_UNKNOWN
  for (const uint8_t *place = start; place < end; place++)
    if (ids[*place] == EDGESLM_NONE) return 0;
#endif
  for (symbols->from = start; symbols->from < end;) {
    uint32_t id = ids[*symbols->from++];
    push(symbols, id);
  }
  return 1;
}
#endif

/* The word's characters, or bytes, as ids. */
static void begin(const edgeslm_tokenizer *tokenizer, edgeslm_rewrite *symbols) {
  const edgeslm_model_record *model = edgeslm_model_of(tokenizer);
  (void)model;
#if EDGESLM_TOKENIZER_BYTE_FALLBACK || EDGESLM_TOKENIZER_BYTE_LEVEL
  const uint32_t *byte_ids = EDGESLM_RECORDS(tokenizer, EDGESLM_BYTE, uint32_t);
#endif
#if EDGESLM_TOKENIZER_UNKNOWN
  uint32_t waits = 0; /* an unknown token, which the next one may still be fused with */
#endif
  while (symbols->from < symbols->end) {
    const uint8_t *start = symbols->from;
    uint32_t id;
#if EDGESLM_TOKENIZER_BYTE_LEVEL
    if (model->flags & EDGESLM_FLAG_BYTES) {
      id = byte_ids[*symbols->from++];
    } else
#endif
    {
      edgeslm_utf8_next(&symbols->from, symbols->end);
      id = edgeslm_token_find(tokenizer, start, (uint32_t)(symbols->from - start));
    }
    if (id != EDGESLM_NONE) {
#if EDGESLM_TOKENIZER_UNKNOWN
      if (waits) push(symbols, model->unknown);
      waits = 0;
#endif
      push(symbols, id);
      continue;
    }
#if EDGESLM_TOKENIZER_BYTE_FALLBACK
    /* An unknown token that waits goes on waiting, and comes behind these: so do Hugging Face's tokenizers. */
    if (model->flags & EDGESLM_FLAG_FALLBACK && spell(symbols, byte_ids, start)) continue;
#endif
#if EDGESLM_TOKENIZER_UNKNOWN
    if (model->unknown == EDGESLM_NONE) continue;
    if (waits && !(model->flags & EDGESLM_FLAG_FUSED)) push(symbols, model->unknown);
    waits = 1;
#endif
  }
#if EDGESLM_TOKENIZER_UNKNOWN
  if (waits) push(symbols, model->unknown);
#endif
}

/* The rank of two ids' merge and what they become, or EDGESLM_NONE. */
static uint32_t rank_of(const edgeslm_tokenizer *tokenizer, uint32_t left, uint32_t right, uint32_t *merged) {
  const uint32_t *places = EDGESLM_RECORDS(tokenizer, EDGESLM_MRGL, uint32_t);
  const edgeslm_id *merges = EDGESLM_RECORDS(tokenizer, EDGESLM_MRGE, edgeslm_id);
  uint32_t low = 0, high = 0;
  if (left < tokenizer->tokens && places[left + 1u] <= tokenizer->bytes[EDGESLM_MRGE] / (3u * sizeof(edgeslm_id))) {
    low = places[left];
    high = places[left + 1u];
  }
  while (low < high) {
    uint32_t middle = (low + high) / 2u;
    const edgeslm_id *merge = merges + 3u * middle;
    if (merge[0] == right) {
      *merged = merge[2];
      return merge[1];
    }
    if (merge[0] < right)
      low = middle + 1u;
    else
      high = middle;
  }
  return EDGESLM_NONE;
}

/* Merges in place; returns how many are left. One pass merges all pairs of the lowest rank, unless what it makes has a
 * still lower one: then that comes first. So there are no more passes than the word uses merges, each linear. */
static uint32_t merge(const edgeslm_tokenizer *tokenizer, edgeslm_id *ids, uint32_t count) {
  for (;;) {
    uint32_t best = EDGESLM_NONE, made = 0, left = 0, right = 0, ignored, kept = 0;
    for (uint32_t i = 1; i < count; i++) {
      uint32_t merged = 0, rank = rank_of(tokenizer, ids[i - 1u], ids[i], &merged);
      if (rank < best) {
        best = rank;
        made = merged;
        left = ids[i - 1u];
        right = ids[i];
      }
    }
    if (best == EDGESLM_NONE) return count;
    uint32_t stops = 0;
    for (uint32_t i = 0; i < count; kept++) {
      if (stops || i + 1u == count || ids[i] != left || ids[i + 1u] != right) {
        ids[kept] = ids[i++];
        continue;
      }
      ids[kept] = (edgeslm_id)made;
      i += 2u;
      stops = (kept && rank_of(tokenizer, ids[kept - 1u], made, &ignored) < best) ||
              (i < count && rank_of(tokenizer, made, ids[i], &ignored) < best);
    }
    count = kept;
  }
}

void edgeslm_bpe(edgeslm_encoding *encoding, const edgeslm_piece *word) {
  const edgeslm_tokenizer *tokenizer = encoding->tokenizer;
  uint8_t *base = word->base + ((0u - (uintptr_t)word->base) & (sizeof(edgeslm_id) - 1u));
  edgeslm_rewrite symbols;
#if EDGESLM_TOKENIZER_WHOLE_WORDS
  if (edgeslm_model_of(tokenizer)->flags & EDGESLM_FLAG_WHOLE) {
    uint32_t id = edgeslm_token_find(tokenizer, word->text, word->bytes);
    if (id != EDGESLM_NONE) {
      edgeslm_encoding_emit(encoding, id);
      return;
    }
  }
#endif
  if (base > encoding->end) base = encoding->end;
  edgeslm_rewrite_begin(&symbols, base, encoding->end, word->text, word->bytes);
  begin(tokenizer, &symbols);
  if (symbols.full) encoding->problem = EDGESLM_TOKENIZER_TOO_LONG;
  edgeslm_id *ids = (edgeslm_id *)(void *)base;
  uint32_t count = merge(tokenizer, ids, (uint32_t)(symbols.at - base) / (uint32_t)sizeof(edgeslm_id));
  for (uint32_t i = 0; i < count; i++) {
    if (ids[i] >= tokenizer->tokens) encoding->problem = EDGESLM_TOKENIZER_DAMAGED;
    edgeslm_encoding_emit(encoding, ids[i]);
  }
}

#endif
