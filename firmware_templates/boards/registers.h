/* Registers of a chip, by address. */
#ifndef EDGESLM_REGISTERS_H
#define EDGESLM_REGISTERS_H

#include <stdint.h>

#ifdef EDGESLM_FAKE_REGISTERS /* a test on the host plays the chip */
uint32_t read_register(uint32_t address);
void write_register(uint32_t address, uint32_t value);
#else
static inline uint32_t read_register(uint32_t address) { return *(volatile const uint32_t *)(uintptr_t)address; }

static inline void write_register(uint32_t address, uint32_t value) {
  *(volatile uint32_t *)(uintptr_t)address = value;
}
#endif

/* The bits of `mask` become those of `value`; the others stay. */
static inline void change_register(uint32_t address, uint32_t mask, uint32_t value) {
  write_register(address, (read_register(address) & ~mask) | value);
}

/* Wait until the bits of `mask` are those of `value`. 0 where they never are: some 0.1 million reads take longer
 * than any oscillator needs, and an emulator has none. */
static inline int await_register(uint32_t address, uint32_t mask, uint32_t value) {
  for (uint32_t tries = 0; tries < 100000u; tries++)
    if ((read_register(address) & mask) == value) return 1;
  return 0;
}

/* Where EDGESLM_OSCILLATOR says that the clock comes from. */
#define EDGESLM_INTERNAL 0 /* the chip's own oscillator */
#define EDGESLM_CRYSTAL 1  /* a crystal on its pins */
#define EDGESLM_CLOCK 2    /* a clock that is fed into its pins */

#endif
