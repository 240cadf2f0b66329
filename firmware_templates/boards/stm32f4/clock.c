/* STM32F4's clock. ST RM0090: 3.9 flash, 5.4 supply, 7.3 clocks; RM0390: 3.8, 5.4, 6.3; wait states RM0390 table 5,
 * over-drive RM0390 5.1.4. */
#include "stm32_clock.h"

#include "board.h"
#include "registers.h"

enum { RCC = 0x40023800, PWR = 0x40007000, FLASH_ACCESS = 0x40023c00 };
enum { RCC_CONTROL = RCC + 0x00, RCC_PLL = RCC + 0x04, RCC_CHOICE = RCC + 0x08, RCC_APB1_ON = RCC + 0x40 };
enum { PWR_CONTROL = PWR + 0x00, PWR_STATUS = PWR + 0x04 };
/* RCC_CONTROL */
enum { HSE_ON = 1 << 16, HSE_READY = 1 << 17, HSE_FED = 1 << 18, PLL_ON = 1 << 24, PLL_READY = 1 << 25 };

/* Above 168 MHz the F446's regulator needs over-drive, which is switched on while the PLL locks. */
#define OVER_DRIVE (EDGESLM_CLOCK_HZ > 168000000u)
enum { OVER_DRIVE_ON = 1 << 16, OVER_DRIVE_USED = 1 << 17 }; /* of PWR_CONTROL and, once it is so, of PWR_STATUS */

static int start_oscillator(void) {
  if (EDGESLM_OSCILLATOR == EDGESLM_INTERNAL) return 1; /* it runs since reset */
  change_register(RCC_CONTROL, HSE_FED, EDGESLM_OSCILLATOR == EDGESLM_CLOCK ? HSE_FED : 0);
  change_register(RCC_CONTROL, HSE_ON, HSE_ON);
  return await_register(RCC_CONTROL, HSE_READY, HSE_READY);
}

static int start_over_drive(void) {
  change_register(PWR_CONTROL, OVER_DRIVE_ON, OVER_DRIVE_ON);
  if (!await_register(PWR_STATUS, OVER_DRIVE_ON, OVER_DRIVE_ON)) return 0;
  change_register(PWR_CONTROL, OVER_DRIVE_USED, OVER_DRIVE_USED);
  return await_register(PWR_STATUS, OVER_DRIVE_USED, OVER_DRIVE_USED);
}

int start_clock(void) {
  const uint32_t waits = (EDGESLM_CLOCK_HZ - 1u) / 30000000u; /* one for each 30 MHz, at 2.7 to 3.6 V */
  const uint32_t source = EDGESLM_OSCILLATOR == EDGESLM_INTERNAL ? 0u : 1u << 22;
  const uint32_t usb = 7u << 24, second = 2u << 28; /* outputs that nobody uses; the reset value of the second stays */
  if (!start_oscillator()) return 0;
  change_register(RCC_APB1_ON, 1u << 28, 1u << 28); /* the supply's own registers; its scale is 1 since reset */
  (void)read_register(RCC_APB1_ON);
  write_register(RCC_PLL, EDGESLM_PLL_DIVIDE | EDGESLM_PLL_MULTIPLY << 6 | (EDGESLM_PLL_POST / 2u - 1u) << 16 | source |
                              usb | second);
  change_register(RCC_CONTROL, PLL_ON, PLL_ON);
  if (OVER_DRIVE && !start_over_drive()) return 0;
  if (!await_register(RCC_CONTROL, PLL_READY, PLL_READY)) return 0;
  write_register(FLASH_ACCESS, waits | 7u << 8); /* prefetch and both caches on */
  if (!await_register(FLASH_ACCESS, 0xfu, waits)) return 0;
  write_register(RCC_CHOICE, 2u | 5u << 10 | 4u << 13); /* the PLL; APB1 a quarter, APB2 half */
  return await_register(RCC_CHOICE, 3u << 2, 2u << 2);
}
