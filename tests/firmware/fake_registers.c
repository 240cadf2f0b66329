/* Registers that a test plays: what boards/registers.h asks for where EDGESLM_FAKE_REGISTERS is defined. */
#include "registers.h"

uint32_t (*fake_read)(uint32_t address);
void (*fake_write)(uint32_t address, uint32_t value);

uint32_t read_register(uint32_t address) { return fake_read(address); }
void write_register(uint32_t address, uint32_t value) { fake_write(address, value); }
