/* The program of every board, and of the host build. */
#include "edgeslm_board.h"
#include "serve.h"

int edgeslm_uart_interrupted(void) { return edgeslm_uart_poll() == 3; }

int main(void) { return edgeslm_serve(); }
