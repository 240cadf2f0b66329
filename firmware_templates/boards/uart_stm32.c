/* USARTs and pins of STM32, both generations of them: ST RM0090 8.4, 30.6 (F4); RM0433 11.4, 48.7, RM0456 13.4,
 * 66.8 and RM0444 6.4, 33.8 (H7, U5, G0). board.h says which, and where. */
#include "board.h"

#ifdef EDGESLM_STM32_USART

#include "edgeslm_board.h"
#include "registers.h"
#include "stm32_clock.h"

#if EDGESLM_STM32_USART == 1
enum { STATUS = 0x00, RECEIVED = 0x04, SENT = 0x04, BAUD = 0x08, CONTROL = 0x0c, CONTROL_3 = 0x14 };
enum { ON = 1 << 13 };
#else
enum { CONTROL = 0x00, CONTROL_3 = 0x08, BAUD = 0x0c, STATUS = 0x1c, RECEIVED = 0x24, SENT = 0x28 };
enum { ON = 1 << 0 };
#endif
enum { SENDS = 1 << 3, RECEIVES = 1 << 2 };      /* of CONTROL */
enum { HAS_BYTE = 1 << 5, HAS_ROOM = 1 << 7 };   /* of STATUS */
enum { NO_OVERRUN = 1 << 12 };                   /* of CONTROL_3, in the second generation */
enum { MODE = 0x00, PULL = 0x0c, FUNCTION = 0x20 }; /* of a port */

/* Reading it back waits until the clock is there: what follows would be lost (ST ES0182 2.1.13 and its like). */
static __attribute__((noinline)) void turn_on(uint32_t address, uint32_t bit) {
  change_register(address, 1u << bit, 1u << bit);
  (void)read_register(address);
}

/* Function first: a pin that drives before it is the UART's sends a byte that nobody wrote. A receiving pin with
 * nothing at it is pulled up, which is the line's idle state. */
static __attribute__((noinline)) void connect(uint32_t port, uint32_t pin, uint32_t function) {
  uint32_t address = EDGESLM_STM32_GPIO + 0x400u * port;
  turn_on(EDGESLM_STM32_GPIO_ON, port);
  change_register(address + FUNCTION + 4u * (pin / 8u), 0xfu << 4u * (pin % 8u), function << 4u * (pin % 8u));
  change_register(address + PULL, 3u << 2u * pin, 1u << 2u * pin);
  change_register(address + MODE, 3u << 2u * pin, 2u << 2u * pin);
}

static uint32_t clock_hz;

uint32_t edgeslm_clock_hz(void) { return clock_hz; }

void edgeslm_board_start(void) {
  int locked = start_clock();
  uint32_t clock = locked ? EDGESLM_UART_HZ : EDGESLM_STM32_RESET_HZ;
  clock_hz = locked ? EDGESLM_CLOCK_HZ : EDGESLM_STM32_RESET_HZ;
  turn_on(EDGESLM_USART_ON, EDGESLM_USART_BIT);
  connect(EDGESLM_TX_PORT, EDGESLM_TX_PIN, EDGESLM_TX_FUNCTION);
  connect(EDGESLM_RX_PORT, EDGESLM_RX_PIN, EDGESLM_RX_FUNCTION);
  write_register(EDGESLM_USART + BAUD, (clock + 115200u / 2u) / 115200u);
  if (EDGESLM_STM32_USART == 2) write_register(EDGESLM_USART + CONTROL_3, NO_OVERRUN);
  write_register(EDGESLM_USART + CONTROL, ON | SENDS | RECEIVES);
}

/* In the first generation, reading the status and then the data clears what the status says, an overrun as well. */
int edgeslm_uart_poll(void) {
  return read_register(EDGESLM_USART + STATUS) & HAS_BYTE ? (int)(read_register(EDGESLM_USART + RECEIVED) & 0xffu)
                                                          : EDGESLM_NO_BYTE;
}

void edgeslm_uart_write(uint32_t byte) {
  while (!(read_register(EDGESLM_USART + STATUS) & HAS_ROOM)) {
  }
  write_register(EDGESLM_USART + SENT, byte & 0xffu);
}

#endif
