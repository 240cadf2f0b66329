/* From text to tokens and back: what an answer wants of the tokenizer. */
#ifndef EDGESLM_TEXT_H
#define EDGESLM_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "edgeslm_model.h"

/* What a text is turned into tokens in: memory of the state, which is free between texts. */
#if EDGESLM_MODEL_ENCODER
#define EDGESLM_TEXT_WORK (sizeof(((edgeslm_state *)0)->arena))
#else
#define EDGESLM_TEXT_WORK (offsetof(edgeslm_state, mark))
#endif

/* Tokens of a prompt, with those that begin a text: ids (count) of at most `most`. Returns their count, which may be
 * greater than `most` (the rest is not stored), or a negative error where the text or the table is damaged. */
#define EDGESLM_TEXT_TOO_LONG (-1) /* for the memory there is to work in */
int32_t edgeslm_text_enter(uint32_t *ids, uint32_t most, const char *text, uint32_t bytes);

/* Begin an answer's text. */
void edgeslm_text_begin(void);

/* The text that is certain with one more token: UTF-8 in *text, valid until the next call. Returns its bytes. */
uint32_t edgeslm_text_next(uint32_t token, const char **text);

/* What was held back: the beginning of a character that never came whole. */
uint32_t edgeslm_text_end(const char **text);

#endif
