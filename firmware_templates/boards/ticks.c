/* A counter of the core's clock: DWT or PMU where they count, else SysTick, which has 24 bits and an interrupt. */
#include "edgeslm_board.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYSTICK_CONTROL REGISTER(0xe000e010u)
#define SYSTICK_RELOAD REGISTER(0xe000e014u)
#define SYSTICK_VALUE REGISTER(0xe000e018u)
#define DEBUG_CONTROL REGISTER(0xe000edfcu)
#define DWT_CONTROL REGISTER(0xe0001000u)
#define DWT_CYCLES REGISTER(0xe0001004u)
#define DWT_LOCK REGISTER(0xe0001fb0u)
#define PMU_CYCLES REGISTER(0xe000307cu)
#define PMU_ENABLE REGISTER(0xe0003c00u)
#define PMU_CONTROL REGISTER(0xe0003e04u)

/* Where no counter counts. The silicon of these cores has DWT or PMU, unless it says that it has no such counter (Arm DDI
 * 0403, C1.8.7: NOCYCCNT), and emulators answer 0 to everything there. Armv6-M has neither: its boards say by their clock
 * that they got none. */
#ifdef __ARM_ARCH_6M__
#define WITHOUT_COUNTER EDGESLM_TICKS_SYSTICK
#elif defined(EDGESLM_SEMIHOSTING) /* an image for emulators alone */
#define WITHOUT_COUNTER (EDGESLM_TICKS_SYSTICK + EDGESLM_TICKS_EMULATED)
#else
#define WITHOUT_COUNTER (EDGESLM_TICKS_SYSTICK + (DWT_CONTROL & 1u << 25 ? 0 : EDGESLM_TICKS_EMULATED))
#endif

static uint32_t source;
static volatile uint32_t rounds; /* of SysTick: the bits above its 24 */

void edgeslm_systick(void);
void edgeslm_systick(void) { rounds += 1u << 24; }

#ifdef __ARM_ARCH_6M__
#define COUNTS(counter) 0
#else
static int counts(volatile uint32_t *counter) {
  uint32_t before = *counter;
  __asm__ volatile("nop\n nop\n nop\n nop");
  return *counter != before;
}
#define COUNTS(counter) counts(&(counter))
#endif

void edgeslm_ticks_start(void) {
#ifndef __ARM_ARCH_6M__
  DEBUG_CONTROL |= 1u << 24; /* trace on */
#if defined(__ARM_FEATURE_MVE)
  PMU_ENABLE = 1u << 31;
  PMU_CONTROL |= 1u;
#else
  DWT_LOCK = 0xc5acce55u; /* Cortex-M7 */
  DWT_CYCLES = 0;
  DWT_CONTROL |= 1u;
#endif
#endif
#if defined(__ARM_FEATURE_MVE)
  if (COUNTS(PMU_CYCLES)) source = EDGESLM_TICKS_PMU;
#else
  if (COUNTS(DWT_CYCLES)) source = EDGESLM_TICKS_DWT;
#endif
  if (source) return;
  source = WITHOUT_COUNTER;
  SYSTICK_RELOAD = 0xffffffu;
  SYSTICK_VALUE = 0;
  SYSTICK_CONTROL = 7u; /* on, with its interrupt, from the core's clock */
}

uint32_t edgeslm_ticks_source(void) { return source; }

void edgeslm_ticks_align(void) {
  if (source < EDGESLM_TICKS_SYSTICK) return;
  SYSTICK_VALUE = 0;
  while (SYSTICK_VALUE == 0) {
  }
}

uint32_t edgeslm_ticks(void) {
#if defined(__ARM_FEATURE_MVE)
  if (source == EDGESLM_TICKS_PMU) return PMU_CYCLES;
#else
  if (source == EDGESLM_TICKS_DWT) return DWT_CYCLES;
#endif
  uint32_t high, value;
  do {
    high = rounds;
    value = SYSTICK_VALUE;
  } while (rounds != high);
  return high + (0xffffffu - value);
}
