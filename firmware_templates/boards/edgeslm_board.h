/* What the firmware asks of a board: bytes in and out, a clock that counts work, and the stack's depth.
 *
 * A board is a folder here with board.h (which driver, which addresses) and whatever C it has of its own. The host
 * build (../host) offers the same functions over stdin and stdout.
 */
#ifndef EDGESLM_BOARD_H
#define EDGESLM_BOARD_H

#include <stdint.h>

/* Clocks and UART: 115200 baud, 8 bits, no parity. Called once, before main. */
void edgeslm_board_start(void);

/* The next byte of the UART, or EDGESLM_NO_BYTE where none has come, or EDGESLM_UART_ENDED (the host's stdin alone). */
int edgeslm_uart_poll(void);
#define EDGESLM_NO_BYTE (-1)
#define EDGESLM_UART_ENDED (-2)

/* Whether Ctrl-C has come while an answer is written. Another byte that came is lost: nobody speaks meanwhile. */
int edgeslm_uart_interrupted(void);

/* Send a byte; waits for room. */
void edgeslm_uart_write(uint32_t byte);

/* A counter that goes up with the core's clock and wraps at 2^32. */
uint32_t edgeslm_ticks(void);

/* Begin a tick now, so that the same work takes the same ticks: SysTick's may be long. */
void edgeslm_ticks_align(void);

/* What edgeslm_ticks reads. Emulators let the first two stand still; the counter is then SysTick. The last is added where
 * no silicon runs this: ticks are then no times. */
enum {
  EDGESLM_TICKS_DWT = 1,
  EDGESLM_TICKS_PMU = 2,
  EDGESLM_TICKS_SYSTICK = 3,
  EDGESLM_TICKS_NONE = 4,
  EDGESLM_TICKS_EMULATED = 256
};
void edgeslm_ticks_start(void);
uint32_t edgeslm_ticks_source(void);

/* What the core, and so the counter, runs at now: a board whose PLL does not lock says what it got instead. 0: unknown, or
 * an emulator's, which is none. */
#ifdef EDGESLM_SEMIHOSTING
static inline uint32_t edgeslm_clock_hz(void) { return 0; }
#else
uint32_t edgeslm_clock_hz(void);
#endif

/* Bytes of the stack, and how many of them were ever used: those whose paint is gone. */
uint32_t edgeslm_stack_bytes(void);
uint32_t edgeslm_stack_used(void);

/* The end: an emulator exits with `status`, a board starts again. */
_Noreturn void edgeslm_board_stop(uint32_t status);

/* The first 8 bytes of the image's digest: the SHA-256 of its bytes of flash with these 8 zero. All zero where nobody
 * computed it: in the host build, and where CMake built the image. */
extern const uint32_t edgeslm_image_digest[2];

/* What a fault tells before the end; see protocol/serve.h. */
void edgeslm_report_fault(uint32_t cause, uint32_t address);

#endif
