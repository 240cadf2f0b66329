/* STM32G0B1's clock. ST RM0444: 3.7.1 flash, 5.4 clocks; wait states table 16. The supply's range is 1 since reset. */
#include "stm32_clock.h"

#include "board.h"
#include "registers.h"

enum { RCC = 0x40021000, FLASH_ACCESS = 0x40022000 };
enum { RCC_CONTROL = RCC + 0x00, RCC_CHOICE = RCC + 0x08, RCC_PLL = RCC + 0x0c };
/* RCC_CONTROL */
enum { HSE_ON = 1 << 16, HSE_READY = 1 << 17, HSE_FED = 1 << 18, PLL_ON = 1 << 24, PLL_READY = 1 << 25 };

static int start_oscillator(void) {
  if (EDGESLM_OSCILLATOR == EDGESLM_INTERNAL) return 1; /* it runs since reset */
  change_register(RCC_CONTROL, HSE_FED, EDGESLM_OSCILLATOR == EDGESLM_CLOCK ? HSE_FED : 0);
  change_register(RCC_CONTROL, HSE_ON, HSE_ON);
  return await_register(RCC_CONTROL, HSE_READY, HSE_READY);
}

int start_clock(void) {
  const uint32_t waits = EDGESLM_CLOCK_HZ <= 24000000u ? 0u : EDGESLM_CLOCK_HZ <= 48000000u ? 1u : 2u;
  const uint32_t source = EDGESLM_OSCILLATOR == EDGESLM_INTERNAL ? 2u : 3u;
  const uint32_t third_output = 1u << 28;
  if (!start_oscillator()) return 0;
  write_register(RCC_PLL, source | (EDGESLM_PLL_DIVIDE - 1u) << 4 | EDGESLM_PLL_MULTIPLY << 8 | third_output |
                              (EDGESLM_PLL_POST - 1u) << 29);
  change_register(RCC_CONTROL, PLL_ON, PLL_ON);
  if (!await_register(RCC_CONTROL, PLL_READY, PLL_READY)) return 0;
  /* Prefetch and instruction cache; the debugger's bit stays. */
  change_register(FLASH_ACCESS, 7u | 3u << 8, waits | 3u << 8);
  if (!await_register(FLASH_ACCESS, 7u, waits)) return 0;
  change_register(RCC_CHOICE, 7u, 2u);
  return await_register(RCC_CHOICE, 7u << 3, 2u << 3);
}
