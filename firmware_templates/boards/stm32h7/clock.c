/* STM32H743's clock. ST RM0433: 4.9.1 flash, 6.8 supply, 8.7 clocks; wait states table 17. */
#include "stm32_clock.h"

#include "board.h"
#include "caches.h"
#include "registers.h"

enum { RCC = 0x58024400, PWR = 0x58024800, FLASH_ACCESS = 0x52002000 };
enum {
  RCC_CONTROL = RCC + 0x00,
  RCC_CHOICE = RCC + 0x10,
  RCC_DOMAIN_1 = RCC + 0x18,
  RCC_DOMAIN_2 = RCC + 0x1c,
  RCC_DOMAIN_3 = RCC + 0x20,
  RCC_PLL_SOURCE = RCC + 0x28,
  RCC_PLL = RCC + 0x2c,
  RCC_PLL_DIVIDERS = RCC + 0x30,
};
enum { PWR_STATUS = PWR + 0x04, PWR_SUPPLY = PWR + 0x0c, PWR_SCALE = PWR + 0x18 };
/* RCC_CONTROL */
enum { HSE_ON = 1 << 16, HSE_READY = 1 << 17, HSE_FED = 1 << 18, PLL_ON = 1 << 24, PLL_READY = 1 << 25 };

#define BUS_HZ (EDGESLM_CLOCK_HZ / 2u) /* AXI and AHB, and the flash */
#define REFERENCE_HZ (EDGESLM_OSCILLATOR_HZ / EDGESLM_PLL_DIVIDE)

/* The supply is the internal regulator's; the register is written once after power-on. Scale 1 is the highest
 * that every revision of the silicon has: 400 MHz. */
static int start_supply(void) {
  const uint32_t regulator = 1u << 1, scale = 3u << 14, scale_ready = 1u << 13;
  change_register(PWR_SUPPLY, 7u, regulator);
  if (!await_register(PWR_STATUS, scale_ready, scale_ready)) return 0;
  change_register(PWR_SCALE, scale, scale);
  return await_register(PWR_SCALE, scale_ready, scale_ready);
}

static int start_oscillator(void) {
  if (EDGESLM_OSCILLATOR == EDGESLM_INTERNAL) return 1; /* it runs since reset */
  change_register(RCC_CONTROL, HSE_FED, EDGESLM_OSCILLATOR == EDGESLM_CLOCK ? HSE_FED : 0);
  change_register(RCC_CONTROL, HSE_ON, HSE_ON);
  return await_register(RCC_CONTROL, HSE_READY, HSE_READY);
}

static int start_pll(void) {
  const uint32_t source = EDGESLM_OSCILLATOR == EDGESLM_INTERNAL ? 0u : 2u;
  const uint32_t range = REFERENCE_HZ < 4000000u ? 1u : REFERENCE_HZ < 8000000u ? 2u : 3u;
  change_register(RCC_PLL_SOURCE, 3u | 0x3fu << 4, source | EDGESLM_PLL_DIVIDE << 4);
  /* Whole factors, the wide VCO, the first output alone. */
  change_register(RCC_PLL, 0xfu | 7u << 16, range << 2 | 1u << 16);
  write_register(RCC_PLL_DIVIDERS,
                 (EDGESLM_PLL_MULTIPLY - 1u) | (EDGESLM_PLL_POST - 1u) << 9 | 1u << 16 | 1u << 24);
  change_register(RCC_CONTROL, PLL_ON, PLL_ON);
  return await_register(RCC_CONTROL, PLL_READY, PLL_READY);
}

static int wait_for_flash(void) {
  const uint32_t waits = BUS_HZ <= 70000000u ? 0u : BUS_HZ <= 140000000u ? 1u : BUS_HZ <= 210000000u ? 2u : 3u;
  const uint32_t delay = BUS_HZ <= 70000000u ? 0u : BUS_HZ <= 185000000u ? 1u : 2u; /* of programming signals */
  write_register(FLASH_ACCESS, waits | delay << 4);
  return await_register(FLASH_ACCESS, 0xfu, waits);
}

/* Caches on: flash answers after three clocks of a bus of half the core's speed, and AXI SRAM is behind the same bus.
 * No other master writes memory here, so that nothing has to be kept coherent. */
int start_clock(void) {
  start_caches();
  if (!start_supply() || !start_oscillator() || !start_pll() || !wait_for_flash()) return 0;
  write_register(RCC_DOMAIN_1, 8u | 4u << 4);      /* AHB half of the core's clock, APB3 half of that */
  write_register(RCC_DOMAIN_2, 4u << 4 | 4u << 8); /* APB1, APB2 */
  write_register(RCC_DOMAIN_3, 4u << 4);           /* APB4 */
  change_register(RCC_CHOICE, 7u, 3u);
  return await_register(RCC_CHOICE, 7u << 3, 3u << 3);
}
