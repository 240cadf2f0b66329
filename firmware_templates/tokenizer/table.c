/* The table: checked once, then read in place. */
#include "parts.h"

_Alignas(4) static const uint8_t tags[] = "ADDTBYTECLASCOMPDECOMAPSMARKMODLMRGEMRGLNORMPOSTPRETPROGTEXTTOKITOKSTOKT";

/* A number at an address divisible by 4. */
static uint32_t word_at(const uint8_t *place) { return *(const uint32_t *)(const void *)place; }

/* zlib's CRC-32, bit by bit: a table is checked once. */
static uint32_t checksum(const uint8_t *content, uint32_t bytes) {
  uint32_t sum = EDGESLM_NONE;
  while (bytes--) {
    sum ^= *content++;
    for (uint32_t bit = 0; bit < 8u; bit++) sum = sum >> 1 ^ (0xedb88320u & (0u - (sum & 1u)));
  }
  return ~sum;
}

static int check_model(edgeslm_tokenizer *tokenizer) {
  const edgeslm_model_record *model = edgeslm_model_of(tokenizer);
  const uint32_t *bytes = tokenizer->bytes, *post = EDGESLM_RECORDS(tokenizer, EDGESLM_POST, uint32_t);
  if (bytes[EDGESLM_MODL] < sizeof *model || bytes[EDGESLM_POST] < 4u) return EDGESLM_TOKENIZER_DAMAGED;
  uint32_t places = 4u * (tokenizer->tokens = model->tokens) + 4u;
  if (model->tokens >> 24 || post[0] >= bytes[EDGESLM_POST] >> 2 || bytes[EDGESLM_TOKI] != places)
    return EDGESLM_TOKENIZER_DAMAGED;
  if (bytes[EDGESLM_DECO] >> 4 > EDGESLM_MOST_DECODER_STEPS || model->width != sizeof(edgeslm_id))
    return EDGESLM_TOKENIZER_UNSUPPORTED;
#if EDGESLM_TOKENIZER_BPE
  if (model->kind == EDGESLM_MODEL_BPE) {
    uint32_t spelt = model->flags & (EDGESLM_FLAG_FALLBACK | EDGESLM_FLAG_BYTES) ? 1024u : 0u;
    return bytes[EDGESLM_BYTE] == spelt && bytes[EDGESLM_MRGL] == places ? 0 : EDGESLM_TOKENIZER_DAMAGED;
  }
#endif
#if EDGESLM_TOKENIZER_WORDPIECE
  if (model->kind == EDGESLM_MODEL_WORDPIECE) return 0;
#endif
  return EDGESLM_TOKENIZER_UNSUPPORTED;
}

int edgeslm_tokenizer_open(edgeslm_tokenizer *tokenizer, const void *table, uint32_t size) {
  const uint8_t *content = table;
  if (size < 32u || (uintptr_t)table & 7u) return EDGESLM_TOKENIZER_DAMAGED;
  /* "edgetok" and a zero */
  if (word_at(content) != 0x65676465u || word_at(content + 4) != 0x006b6f74u) return EDGESLM_TOKENIZER_DAMAGED;
  if (word_at(content + 8) != 1u) return EDGESLM_TOKENIZER_UNSUPPORTED;
  uint32_t count = word_at(content + 20);
  if (word_at(content + 12) != size || word_at(content + 16) != checksum(content + 32, size - 32u) ||
      count > (size - 32u) >> 4 || (count && word_at(content + 36) != 32u + 16u * count))
    return EDGESLM_TOKENIZER_DAMAGED;
  tokenizer->decodes = 0;
  for (uint32_t section = 0; section < EDGESLM_SECTIONS; section++) {
    const uint8_t *start = content;
    uint32_t bytes = 0;
    for (const uint8_t *entry = content + 32; entry < content + 32u + 16u * count; entry += 16) {
      if (word_at(entry) != word_at(tags + 4u * section)) continue;
      uint32_t place = word_at(entry + 4);
      bytes = word_at(entry + 8);
      if (place & 7u || place > size || bytes > size - place) return EDGESLM_TOKENIZER_DAMAGED;
      start += place;
      if (section == EDGESLM_DECO) tokenizer->decodes = 1;
      break;
    }
    tokenizer->start[section] = start;
    tokenizer->bytes[section] = bytes;
  }
  int status = check_model(tokenizer);
  if (status) tokenizer->tokens = 0; /* what did not open has no tokens */
  return status;
}

edgeslm_span edgeslm_token_text(const edgeslm_tokenizer *tokenizer, uint32_t offset) {
  uint32_t bytes = tokenizer->bytes[EDGESLM_TEXT];
  edgeslm_span text = {tokenizer->start[EDGESLM_TEXT], 0};
  if (bytes >= 2u && offset <= bytes - 2u) {
    text.text += offset + 2u;
    text.bytes = text.text[-2] | (uint32_t)text.text[-1] << 8;
    if (text.bytes > bytes - 2u - offset) text.bytes = 0;
  }
  return text;
}

edgeslm_span edgeslm_token_bytes(const edgeslm_tokenizer *tokenizer, uint32_t id) {
  const uint32_t *places = EDGESLM_RECORDS(tokenizer, EDGESLM_TOKI, uint32_t) + id;
  edgeslm_span token = {tokenizer->start[EDGESLM_TOKT], 0};
  if (id < tokenizer->tokens && places[0] <= places[1] && places[1] <= tokenizer->bytes[EDGESLM_TOKT]) {
    token.text += places[0];
    token.bytes = places[1] - places[0];
  }
  return token;
}

uint32_t edgeslm_token_find(const edgeslm_tokenizer *tokenizer, const uint8_t *text, uint32_t bytes) {
  const edgeslm_id *order = EDGESLM_RECORDS(tokenizer, EDGESLM_TOKS, edgeslm_id);
  uint32_t low = 0, high = tokenizer->bytes[EDGESLM_TOKS] / (uint32_t)sizeof(edgeslm_id);
  while (low < high) {
    uint32_t middle = (low + high) / 2u, i = 0;
    edgeslm_span token = edgeslm_token_bytes(tokenizer, order[middle]);
    while (i < bytes && i < token.bytes && text[i] == token.text[i]) i++;
    if (i == bytes && i == token.bytes) return order[middle];
    if (i < token.bytes && (i == bytes || text[i] < token.text[i]))
      high = middle;
    else
      low = middle + 1u;
  }
  return EDGESLM_NONE;
}

int edgeslm_token_begins(const uint8_t *text, uint32_t bytes, edgeslm_span other) {
  if (other.bytes > bytes) return 0;
  for (uint32_t i = 0; i < other.bytes; i++)
    if (text[i] != other.text[i]) return 0;
  return 1;
}
