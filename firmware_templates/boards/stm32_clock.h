/* What a family of STM32 does before its UART: clock.c in its folder. */
#ifndef EDGESLM_STM32_CLOCK_H
#define EDGESLM_STM32_CLOCK_H

/* Supply, wait states, oscillator, PLL, caches, in this order. 1 where the core runs by the PLL; 0 where an
 * oscillator or the PLL does not come: then the clock is what it is after reset. */
int start_clock(void);

#endif
