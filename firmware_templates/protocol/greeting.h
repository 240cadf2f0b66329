/* What a board says when it has started, and whenever a person asks who is there. */
#ifndef EDGESLM_GREETING_H
#define EDGESLM_GREETING_H

/* Bytes to the UART, up to the 0. */
void edgeslm_show(const char *text);

/* A line with the model's name, its scheme and the image's digest, then "> ". */
void edgeslm_greet(const char *name, const char *scheme);

#endif
