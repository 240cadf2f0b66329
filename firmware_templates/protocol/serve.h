/* What a board answers: requests in frames, or lines that a person types.
 *
 * Requests (upper case) and answers (lower case), with the words of their payloads. A request with a number (not 0) gets
 * an `a` at once, then its answer; the same number once more, with no other between, gets an `a` alone: a host that saw
 * none asks again, and nothing is answered twice.
 *
 *   H  –                                            h  what the board is, and its image: see hello()
 *   O  most tokens, temperature (16 fractional bits), seed
 *                                                   o  the same: they hold from now on
 *   P  the prompt, UTF-8                            t  index, token; text. Once for each token (one that is
 *                                                      0xffffffff brings text that was held back), then
 *                                                   d  reason, prompt tokens, tokens, ticks of prefill, ticks of decode,
 *                                                      bytes of stack used, of the arena (by X alone)
 *   X  prompt tokens, steps                         x  position, 1 where logits were asked for, ticks of the step,
 *                                                      ticks with choosing a token and its text. Once for each position
 *                                                   p  position, ticks of each part. After each x
 *                                                   d  as above
 *   With an encoder there are no O and P, and X is another:
 *   E  an id, the text                              i  the text's ids
 *                                                   v  token (0 of a text), first output; outputs. For each token, if
 *                                                      each has outputs, or those of this id (0xffffffff: all); then
 *                                                   d  1 if the text was cut, tokens, tokens with outputs, ticks of the
 *                                                      model, ticks of outputs, stack and arena as above
 *   X  tokens                                       x  tokens, 1, ticks of the model, ticks with outputs
 *                                                   p  tokens, ticks of each part
 *                                                   d  as above
 *   With a net there are none of these but H, and:
 *   I  input, its first byte; bytes                 i  input, first byte, how many
 *   R  –                                            d  steps, ticks of all, bytes of stack used
 *   X  –                                            x  step, its ticks. Once for each step
 *                                                   d  as above
 *   V  output, its first byte, how many             v  output, first byte; bytes
 *   With single kernels (../measure/serve_kernels.c) there are none of these but H, and:
 *   K  kernel, runs, most ticks, 9 arguments, count of buffers; of each what is in it (0 weights in flash, 1 any bytes,
 *      2 numbers) and its bytes
 *                                                   d  runs, ticks of all, ticks of the fastest, bytes of stack used.
 *                                                      Fewer runs than asked for where they have taken most ticks
 *   Q  –                                            the emulator exits; a board starts again
 *
 * e: code, two words that belong to it (see the enumeration). Byte 3 (Ctrl-C) while it is answered ends P or E. A host
 * that was not answered sends EDGESLM_MOST_PAYLOAD + 9 zeros and asks again: whatever was damaged is then behind.
 */
#ifndef EDGESLM_SERVE_H
#define EDGESLM_SERVE_H

#include <stdint.h>

#define EDGESLM_PROTOCOL 2u

enum {
  /* 1 to 3: why there is no answer, of generate.h; with tokens of the prompt, context */
  EDGESLM_ERROR_UNKNOWN = 16, /* type, bytes */
  EDGESLM_ERROR_LENGTH = 17,  /* more positions than the context has: asked for, context */
  EDGESLM_ERROR_STEP = 18,    /* the model refused a token: position, token */
  EDGESLM_ERROR_FAULT = 19,   /* the core faulted: its fault status, where */
  EDGESLM_ERROR_PORT = 20,    /* no such bytes of an input or output: which, first byte */
  EDGESLM_ERROR_NET = 21,     /* a step of a net says no: which, EDGESLM_NET_… */
  EDGESLM_ERROR_KERNEL = 22   /* no such kernel, or no room for its buffers: which, how many */
};

/* Answer until the UART ends (the host build's alone) or Q comes. */
int edgeslm_serve(void);

#endif
