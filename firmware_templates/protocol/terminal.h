/* A person at a plain terminal (picocom -b 115200 DEVICE): a line is a prompt, the answer is text. */
#ifndef EDGESLM_TERMINAL_H
#define EDGESLM_TERMINAL_H

#include "generate.h"

/* Say what this is, and ask for a line. */
void edgeslm_terminal_greet(void);

/* Forget what was typed. */
void edgeslm_terminal_start(void);

/* A byte was typed. `line` (most) is the same at each call, and nobody else's in between. */
void edgeslm_terminal_take(uint8_t *line, uint32_t most, uint32_t byte, const edgeslm_options *options);

#endif
