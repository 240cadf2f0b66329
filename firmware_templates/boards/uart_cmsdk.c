/* The UART of Arm's CMSDK (Arm DDI 0479, 4.3), which the MPS boards have. */
#include "board.h"

#ifdef EDGESLM_UART_CMSDK

#include "edgeslm_board.h"

#define UART ((volatile uint32_t *)EDGESLM_UART_CMSDK)
enum { DATA, STATE, CONTROL, INTERRUPTS, DIVIDER };
enum { SENDING = 1, RECEIVED = 2 }; /* STATE: full */

void edgeslm_board_start(void) {
  UART[DIVIDER] = EDGESLM_UART_CLOCK / 115200u;
  UART[CONTROL] = 3u; /* both ways */
}

int edgeslm_uart_poll(void) { return UART[STATE] & RECEIVED ? (int)(UART[DATA] & 0xffu) : EDGESLM_NO_BYTE; }

void edgeslm_uart_write(uint32_t byte) {
  while (UART[STATE] & SENDING) {
  }
  UART[DATA] = byte & 0xffu;
}

#endif
