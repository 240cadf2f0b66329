/* RP2040 and RP2350: crystal, PLL, pins and UART, which are the same in both. RP2040 data sheet: 2.14 resets,
 * 2.15 clocks, 2.16 crystal, 2.18 PLL, 2.19 pins, 4.2 UART; RP2350 data sheet: 7.5, 8.1, 8.2, 8.6, 9, 12.1. */
#include "board.h"

#ifdef EDGESLM_RP_CLOCKS

#include "edgeslm_board.h"
#include "registers.h"

enum { CRYSTAL_CONTROL = 0x00, CRYSTAL_STATUS = 0x04, CRYSTAL_STARTUP = 0x0c };
enum { REFERENCE_CONTROL = 0x30, REFERENCE_CHOSEN = 0x38, SYSTEM_CONTROL = 0x3c, SYSTEM_CHOSEN = 0x44, PERIPHERALS = 0x48 };
enum { PLL_STATUS = 0x00, PLL_POWER = 0x04, PLL_FACTOR = 0x08, PLL_POST = 0x0c };
enum { RESETS_HELD = 0x00, RESETS_DONE = 0x08 };
enum { UART_DATA = 0x00, UART_FLAGS = 0x18, UART_WHOLE = 0x24, UART_FRACTION = 0x28, UART_LINE = 0x2c, UART_CONTROL = 0x30 };
enum { EMPTY = 1 << 4, FULL = 1 << 5 }; /* UART_FLAGS */
/* PLL_POWER: what is off. Bit 2 is the modulator, which whole factors do without. */
enum { PLL_ALL_OFF = 0x2d, PLL_NO_POST = 1 << 3, PLL_NO_MODULATOR = 1 << 2 };

#define REGISTER(block, offset) (EDGESLM_RP_##block + (uint32_t)(offset))

/* Without the crystal there is no clock that a UART can go by: nothing is better than to wait for it. */
static void wait_for(uint32_t address, uint32_t mask) {
  while (!await_register(address, mask, mask)) {
  }
}

static void start_crystal(void) {
  const uint32_t range = 0xaa0u, on = 0xfabu << 12, millisecond = EDGESLM_OSCILLATOR_HZ / 1000u;
  if (EDGESLM_OSCILLATOR == EDGESLM_CRYSTAL)
    write_register(REGISTER(CRYSTAL, CRYSTAL_STARTUP), (millisecond + 128u) / 256u); /* of 256 periods each */
  write_register(REGISTER(CRYSTAL, CRYSTAL_CONTROL), on | range);
  wait_for(REGISTER(CRYSTAL, CRYSTAL_STATUS), 1u << 31);
}

/* The system's clock leaves the PLL before that is touched: after a reset of the core alone it still runs by it. */
static void leave_pll(void) {
  change_register(REGISTER(CLOCKS, SYSTEM_CONTROL), 1u, 0u);
  wait_for(REGISTER(CLOCKS, SYSTEM_CHOSEN), 1u << 0);
  change_register(REGISTER(CLOCKS, REFERENCE_CONTROL), 3u, 2u);
  wait_for(REGISTER(CLOCKS, REFERENCE_CHOSEN), 1u << 2);
}

static void start_pll(void) {
  change_register(REGISTER(RESETS, RESETS_HELD), EDGESLM_RP_RESET_PLL, EDGESLM_RP_RESET_PLL);
  change_register(REGISTER(RESETS, RESETS_HELD), EDGESLM_RP_RESET_PLL, 0);
  wait_for(REGISTER(RESETS, RESETS_DONE), EDGESLM_RP_RESET_PLL);
  write_register(REGISTER(PLL, PLL_POWER), PLL_ALL_OFF);
  write_register(REGISTER(PLL, PLL_STATUS), EDGESLM_PLL_DIVIDE);
  write_register(REGISTER(PLL, PLL_FACTOR), EDGESLM_PLL_MULTIPLY);
  write_register(REGISTER(PLL, PLL_POWER), PLL_NO_POST | PLL_NO_MODULATOR);
  wait_for(REGISTER(PLL, PLL_STATUS), 1u << 31);
  write_register(REGISTER(PLL, PLL_POST), EDGESLM_PLL_POST << 16 | EDGESLM_PLL_POST_2 << 12);
  write_register(REGISTER(PLL, PLL_POWER), PLL_NO_MODULATOR);
}

static void start_clocks(void) {
  change_register(REGISTER(CLOCKS, SYSTEM_CONTROL), 7u << 5, 0u); /* the PLL of the system … */
  change_register(REGISTER(CLOCKS, SYSTEM_CONTROL), 1u, 1u);      /* … and not the reference */
  wait_for(REGISTER(CLOCKS, SYSTEM_CHOSEN), 1u << 1);
  write_register(REGISTER(CLOCKS, PERIPHERALS), 1u << 11); /* on, by the system's clock */
}

/* Pulled up, with input and 4 mA: an open line is idle. The last bit written off is RP2350's isolation, which
 * holds a pin until its function is chosen. */
static void connect(uint32_t pin, uint32_t function) {
  const uint32_t input = 1u << 6, drive = 1u << 4, pull_up = 1u << 3, schmitt = 1u << 1;
  write_register(REGISTER(PINS, 8u * pin + 4u), function);
  write_register(REGISTER(PADS, 4u * pin + 4u), input | drive | pull_up | schmitt);
}

/* The board starts by the PLL, or not at all. */
uint32_t edgeslm_clock_hz(void) { return EDGESLM_CLOCK_HZ; }

void edgeslm_board_start(void) {
  const uint32_t needed = EDGESLM_RP_RESET_PINS | EDGESLM_RP_RESET_PADS | EDGESLM_RP_RESET_UART;
  const uint32_t divisor = (4u * EDGESLM_CLOCK_HZ + 115200u / 2u) / 115200u; /* in 64ths */
  start_crystal();
  leave_pll();
  start_pll();
  start_clocks();
  change_register(REGISTER(RESETS, RESETS_HELD), EDGESLM_RP_RESET_UART, EDGESLM_RP_RESET_UART);
  change_register(REGISTER(RESETS, RESETS_HELD), needed, 0);
  wait_for(REGISTER(RESETS, RESETS_DONE), needed);
  connect(EDGESLM_TX_PIN, EDGESLM_TX_FUNCTION);
  connect(EDGESLM_RX_PIN, EDGESLM_RX_FUNCTION);
  write_register(REGISTER(UART, UART_WHOLE), divisor >> 6);
  write_register(REGISTER(UART, UART_FRACTION), divisor & 0x3fu);
  write_register(REGISTER(UART, UART_LINE), 7u << 4); /* 8 bits; the queues on. Takes the divisor over */
  write_register(REGISTER(UART, UART_CONTROL), 3u << 8 | 1u);
}

int edgeslm_uart_poll(void) {
  return read_register(REGISTER(UART, UART_FLAGS)) & EMPTY ? EDGESLM_NO_BYTE
                                                           : (int)(read_register(REGISTER(UART, UART_DATA)) & 0xffu);
}

void edgeslm_uart_write(uint32_t byte) {
  while (read_register(REGISTER(UART, UART_FLAGS)) & FULL) {
  }
  write_register(REGISTER(UART, UART_DATA), byte & 0xffu);
}

#endif
