/* STM32F4: 168 MHz from the internal oscillator, and a USART. ST RM0090: 3.9 flash, 7.3 clocks, 8.4 pins, 30.6 USART. */
#include "board.h"
#include "edgeslm_board.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define FLASH_ACCESS REGISTER(0x40023c00u)
#define CLOCKS ((volatile uint32_t *)0x40023800u)
#define PORT ((volatile uint32_t *)EDGESLM_PORT)
#define USART ((volatile uint32_t *)EDGESLM_USART)
enum { CONTROL = 0, PLL = 1, CHOICE = 2, PORTS_ON = 12, APB2_ON = 17 };
enum { MODE = 0, FUNCTION = 8 };
enum { STATUS = 0, DATA = 1, BAUD = 2, ENABLE = 3 };

/* 1 where the PLL runs; an emulator has none, and the oscillator's 16 MHz stay. */
static int start_pll(void) {
  FLASH_ACCESS = 5u | 7u << 8;                               /* 5 wait states; prefetch and both caches on */
  CLOCKS[PLL] = 8u | 168u << 6 | 0u << 16 | 7u << 24;        /* 16 MHz / 8 * 168 / 2 = 168 MHz; USB 48 MHz */
  CLOCKS[CONTROL] |= 1u << 24;
  for (uint32_t wait = 0; !(CLOCKS[CONTROL] & 1u << 25); wait++)
    if (wait == 20000u) return 0; /* locking takes 0.3 ms at most: DS8626 */
  CLOCKS[CHOICE] = 2u | 5u << 10 | 4u << 13;                 /* APB1 42 MHz, APB2 84 MHz; the PLL is the clock */
  return 1;
}

static uint32_t clock_hz;

uint32_t edgeslm_clock_hz(void) { return clock_hz; }

void edgeslm_board_start(void) {
  int locked = start_pll();
  uint32_t clock = locked ? 84000000u : 16000000u; /* the USART's */
  clock_hz = locked ? 168000000u : 16000000u;
  CLOCKS[PORTS_ON] |= EDGESLM_PORT_ENABLE;
  CLOCKS[APB2_ON] |= EDGESLM_USART_ENABLE;
  PORT[MODE] = (PORT[MODE] & ~(0xfu << 2u * EDGESLM_PINS)) | 0xau << 2u * EDGESLM_PINS;
  PORT[FUNCTION] |= EDGESLM_PINS_FUNCTION * 0x11u << 4u * EDGESLM_PINS;
  USART[BAUD] = clock / 115200u;
  USART[ENABLE] = 1u << 13 | 1u << 3 | 1u << 2; /* on, both ways */
}

/* Reading the status and then the data clears what the status says, an overrun as well. */
int edgeslm_uart_poll(void) { return USART[STATUS] & 1u << 5 ? (int)(USART[DATA] & 0xffu) : EDGESLM_NO_BYTE; }

void edgeslm_uart_write(uint32_t byte) {
  while (!(USART[STATUS] & 1u << 7)) {
  }
  USART[DATA] = byte & 0xffu;
}
