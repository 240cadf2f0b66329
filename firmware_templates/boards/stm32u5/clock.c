/* STM32U575's clock. ST RM0456: 7.9.1 flash, 8.4 instruction cache, 10.5.4 and 10.10.4 supply, 11.8 clocks; wait states
 * table 54. */
#include "stm32_clock.h"

#include "board.h"
#include "registers.h"

enum { RCC = 0x46020c00, PWR = 0x46020800, FLASH_ACCESS = 0x40022000, CACHE = 0x40030400 };
enum {
  RCC_CONTROL = RCC + 0x00,
  RCC_CHOICE = RCC + 0x1c,
  RCC_PLL = RCC + 0x28,
  RCC_PLL_DIVIDERS = RCC + 0x34,
  RCC_AHB3_ON = RCC + 0x94,
};
enum { PWR_SCALE = PWR + 0x0c };
enum { CACHE_CONTROL = CACHE + 0x00, CACHE_STATUS = CACHE + 0x04 };
/* RCC_CONTROL */
enum { HSI_ON = 1 << 8, HSI_READY = 1 << 10, HSE_ON = 1 << 16, HSE_READY = 1 << 17, HSE_FED = 1 << 18 };
enum { PLL_ON = 1 << 24, PLL_READY = 1 << 25 };
/* RCC_PLL */
enum { INTERNAL = 2, EXTERNAL = 3, FAST_REFERENCE = 3 << 2, THIRD_OUTPUT = 1 << 18 };
/* PWR_SCALE */
enum { BOOSTED = 1 << 14, SCALED = 1 << 15, SCALE_1 = 3 << 16, BOOST = 1 << 18 };

#define REFERENCE_HZ (EDGESLM_OSCILLATOR_HZ / EDGESLM_PLL_DIVIDE)

static int start_oscillator(void) {
  if (EDGESLM_OSCILLATOR == EDGESLM_INTERNAL) {
    change_register(RCC_CONTROL, HSI_ON, HSI_ON);
    return await_register(RCC_CONTROL, HSI_READY, HSI_READY);
  }
  change_register(RCC_CONTROL, HSE_FED, EDGESLM_OSCILLATOR == EDGESLM_CLOCK ? HSE_FED : 0);
  change_register(RCC_CONTROL, HSE_ON, HSE_ON);
  return await_register(RCC_CONTROL, HSE_READY, HSE_READY);
}

/* Range 1, and above 55 MHz the booster, whose clock is the oscillator's, divided to no more than 16 MHz: it is chosen
 * together with the PLL's source. The regulator is the LDO, as after reset. */
static int start_supply(void) {
  const uint32_t divide = (EDGESLM_OSCILLATOR_HZ + 15999999u) / 16000000u;
  const uint32_t code = (divide + 1u) / 2u; /* by 1, 2, 4, 6 … */
  const uint32_t range = REFERENCE_HZ < 8000000u ? 0u : (uint32_t)FAST_REFERENCE;
  const uint32_t source = EDGESLM_OSCILLATOR == EDGESLM_INTERNAL ? INTERNAL : EXTERNAL;
  change_register(RCC_AHB3_ON, 1u << 2, 1u << 2);
  (void)read_register(RCC_AHB3_ON);
  write_register(RCC_PLL, source | range | (EDGESLM_PLL_DIVIDE - 1u) << 8 | (divide > 1u ? code : 0u) << 12);
  change_register(PWR_SCALE, SCALE_1, SCALE_1);
  if (!await_register(PWR_SCALE, SCALED, SCALED)) return 0;
  if (EDGESLM_CLOCK_HZ <= 55000000u) return 1;
  change_register(PWR_SCALE, BOOST, BOOST);
  return await_register(PWR_SCALE, BOOSTED, BOOSTED);
}

static int start_pll(void) {
  write_register(RCC_PLL_DIVIDERS,
                 (EDGESLM_PLL_MULTIPLY - 1u) | 1u << 9 | 1u << 16 | (EDGESLM_PLL_POST - 1u) << 24);
  change_register(RCC_PLL, THIRD_OUTPUT, THIRD_OUTPUT);
  change_register(RCC_CONTROL, PLL_ON, PLL_ON);
  return await_register(RCC_CONTROL, PLL_READY, PLL_READY);
}

/* The cache is before the flash for instructions and for data alike: weights go through it too. It empties itself after
 * reset, and is switched on once that is done. */
static int start_flash(void) {
  const uint32_t waits = (EDGESLM_CLOCK_HZ - 1u) / 32000000u; /* one for each 32 MHz in range 1 */
  write_register(FLASH_ACCESS, waits | 1u << 8);              /* prefetch */
  if (!await_register(FLASH_ACCESS, 0xfu, waits) || !await_register(CACHE_STATUS, 1u, 0)) return 0;
  change_register(CACHE_CONTROL, 1u, 1u);
  return 1;
}

int start_clock(void) {
  if (!start_oscillator() || !start_supply() || !start_pll() || !start_flash()) return 0;
  change_register(RCC_CHOICE, 3u, 3u);
  return await_register(RCC_CHOICE, 3u << 2, 3u << 2);
}
