/* The host build's board: stdin and stdout are the UART. The test double of every board. */
#include <stdio.h>

#include "edgeslm_board.h"
#include "serve.h"

const uint32_t edgeslm_image_digest[2];

int edgeslm_uart_poll(void) {
  fflush(stdout);
  int byte = getchar();
  return byte == EOF ? EDGESLM_UART_ENDED : byte;
}

/* A process is ended by its signal. */
int edgeslm_uart_interrupted(void) { return 0; }

void edgeslm_uart_write(uint32_t byte) { putchar((int)(byte & 0xffu)); }

uint32_t edgeslm_ticks(void) { return 0; }

void edgeslm_ticks_align(void) {}

uint32_t edgeslm_ticks_source(void) { return EDGESLM_TICKS_NONE + EDGESLM_TICKS_EMULATED; }

uint32_t edgeslm_clock_hz(void) { return 0; }

uint32_t edgeslm_stack_bytes(void) { return 0; }

uint32_t edgeslm_stack_used(void) { return 0; }

int main(void) { return edgeslm_serve(); }
