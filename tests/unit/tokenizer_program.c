/* The tokenizer as a program: requests on stdin, answers on stdout, all in 32-bit words of this machine and plain bytes.
 *
 *   T bytes; table                          status
 *   E work bytes, most ids, bytes; text     count or error, then the ids that are there
 *   D skip, most bytes, count; ids          bytes or error, then the text
 *
 * Every buffer has just its size and is new each time, so that a sanitizer sees what is read or written beside it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tokenizer.h"

static void *room(uint32_t bytes) {
  void *place = malloc(bytes ? bytes : 1u);
  if (!place) exit(2);
  return place;
}

static void *take(uint32_t bytes) {
  void *place = room(bytes);
  if (fread(place, 1, bytes, stdin) != bytes) exit(2);
  return place;
}

static uint32_t word(void) {
  uint32_t value;
  if (fread(&value, 4, 1, stdin) != 1) exit(2);
  return value;
}

static void tell(int32_t value, const void *content, uint32_t bytes) {
  fwrite(&value, 4, 1, stdout);
  if (bytes) fwrite(content, 1, bytes, stdout);
  fflush(stdout);
}

static void encode(const edgeslm_tokenizer *tokenizer) {
  uint32_t work_bytes = word(), most = word(), bytes = word();
  void *work = room(work_bytes);
  char *text = take(bytes);
  uint32_t *ids = room(4u * most);
  int32_t count = edgeslm_tokenizer_encode(tokenizer, text, bytes, work, work_bytes, ids, most);
  uint32_t there = count < 0 ? 0 : (uint32_t)count < most ? (uint32_t)count : most;
  tell(count, ids, 4u * there);
  free(work);
  free(text);
  free(ids);
}

static void decode(const edgeslm_tokenizer *tokenizer) {
  edgeslm_tokenizer_decoder decoder;
  uint32_t skip = word(), most = word(), count = word(), *ids = take(4u * count);
  char *all = room((count + 1u) * most), *out = room(most);
  int32_t bytes = 0, problem = 0;
  edgeslm_tokenizer_decode_begin(&decoder, tokenizer, (int)skip);
  for (uint32_t i = 0; i <= count; i++) {
    int32_t made = i < count ? edgeslm_tokenizer_decode(&decoder, ids[i], out, most)
                             : edgeslm_tokenizer_decode_end(&decoder, out, most);
    if (made < 0) problem = made;
    for (int32_t j = 0; j < made; j++) all[bytes++] = out[j];
  }
  tell(problem ? problem : bytes, all, problem ? 0u : (uint32_t)bytes);
  free(ids);
  free(all);
  free(out);
}

int main(void) {
  edgeslm_tokenizer tokenizer;
  void *table = NULL;
  for (int kind = getchar(); kind != EOF; kind = getchar()) {
    if (kind == 'T') {
      uint32_t size = word();
      free(table);
      table = take(size);
      tell(edgeslm_tokenizer_open(&tokenizer, table, size), NULL, 0);
    } else if (kind == 'E') {
      encode(&tokenizer);
    } else if (kind == 'D') {
      decode(&tokenizer);
    } else {
      return 2;
    }
  }
  free(table);
  return 0;
}
