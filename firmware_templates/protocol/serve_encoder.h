/* What a board with an encoder answers: serve.h says in which frames. */
#ifndef EDGESLM_SERVE_ENCODER_H
#define EDGESLM_SERVE_ENCODER_H

#include "frames.h"

/* E: the outputs of a text. */
void edgeslm_serve_text(const edgeslm_receiver *receiver);

/* X: the ticks of a text of so many tokens. */
void edgeslm_serve_probe(uint32_t count);

#endif
