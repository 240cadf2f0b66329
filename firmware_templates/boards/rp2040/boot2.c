/* The second stage of RP2040's boot: makes the flash readable as memory, then starts the image behind it.
 *
 * The ROM copies the first 256 bytes of flash to the end of SRAM and runs them if their last word is the CRC-32
 * of the rest (data sheet 2.8.1.3.1); it reads slowly, by commands. This is those bytes: one function without
 * data, wherever it lies (PC-relative loads alone), compiled and linked by itself; the build appends the CRC.
 *
 * The flash is one with Winbond's commands (W25Q16JV on the Pico: its data sheet 7.1, 8.2), read by four lines:
 * command EBh, then mode bits A0h after each address, which let the next read do without the command. SSI:
 * RP2040 data sheet 4.10. SCK is a quarter of the system's clock: 33 MHz at 133, where the flash takes 104. */
#include "registers.h"

#define SSI 0x18000000u
enum { CONTROL = 0x00, FRAMES = 0x04, ENABLE = 0x08, BAUD = 0x14, STATUS = 0x28, DATA = 0x60, SAMPLE = 0xf0, READS = 0xf4 };
enum { BUSY = 1 << 0, ALL_SENT = 1 << 2 }; /* STATUS */
enum { WRITE_STATUS = 0x01, READ_STATUS = 0x05, WRITE_ENABLE = 0x06, READ_STATUS_2 = 0x35, QUAD_READ = 0xeb };
enum { WRITING = 1 << 0, FOUR_LINES = 1 << 1 }; /* of the flash's two status registers */
enum { AGAIN = 0xa0 };                          /* the mode bits */

#define BYTES (7u << 16)                              /* 8 bits a frame, both ways */
#define WORDS (31u << 16 | 2u << 21 | 3u << 8)        /* 32 bits a frame on four lines; send an address, receive */
#define ADDRESS (8u << 2 | 4u << 11)                  /* 24 bits and the mode's 8; 4 clocks of waiting */
#define WITH_COMMAND (ADDRESS | 2u << 8 | 1u)         /* 8 bits of command, on one line */
#define WITHOUT_COMMAND (ADDRESS | 2u | (uint32_t)AGAIN << 24)

#ifdef __arm__
/* The image's vector table lies behind these 256 bytes. */
#define START_IMAGE()                                                                              \
  __asm__ volatile("ldr r0, =0x10000100\n ldr r1, =0xe000ed08\n str r0, [r1]\n ldm r0!, {r1, r2}\n" \
                   " msr msp, r1\n bx r2\n .ltorg")
#else
#define START_IMAGE() /* a test on the host */
#endif

/* What came back for the last of `count` bytes sent. */
static __attribute__((noinline)) uint32_t received(uint32_t ssi, uint32_t count) {
  uint32_t last = 0;
  while ((read_register(ssi + STATUS) & (BUSY | ALL_SENT)) != ALL_SENT) {
  }
  while (count--) last = read_register(ssi + DATA);
  return last;
}

static __attribute__((noinline)) uint32_t ask(uint32_t ssi, uint32_t command) {
  write_register(ssi + DATA, command);
  write_register(ssi + DATA, 0);
  return received(ssi, 2);
}

static __attribute__((noinline)) void set_up(uint32_t ssi, uint32_t control, uint32_t reads) {
  write_register(ssi + ENABLE, 0);
  write_register(ssi + CONTROL, control);
  write_register(ssi + READS, reads);
  write_register(ssi + ENABLE, 1);
}

__attribute__((section(".boot2_entry"))) void edgeslm_boot2(void);
void edgeslm_boot2(void) {
  uint32_t ssi = SSI;
  __asm__("" : "+r"(ssi)); /* a register and short offsets, not a constant for each address: 252 bytes are few */
  write_register(ssi + ENABLE, 0);
  write_register(ssi + BAUD, 4);
  write_register(ssi + SAMPLE, 1); /* a clock later: the data's way back */
  write_register(ssi + FRAMES, 0);
  set_up(ssi, BYTES, 0);
  if (!(ask(ssi, READ_STATUS_2) & FOUR_LINES)) { /* kept by the flash: written once in its life */
    write_register(ssi + DATA, WRITE_ENABLE);
    (void)received(ssi, 1);
    write_register(ssi + DATA, WRITE_STATUS);
    write_register(ssi + DATA, 0);
    write_register(ssi + DATA, FOUR_LINES);
    (void)received(ssi, 3);
    while (ask(ssi, READ_STATUS) & WRITING) {
    }
  }
  set_up(ssi, WORDS, WITH_COMMAND); /* one read with the command, for its mode bits */
  write_register(ssi + DATA, QUAD_READ);
  write_register(ssi + DATA, AGAIN);
  (void)received(ssi, 0);
  set_up(ssi, WORDS, WITHOUT_COMMAND);
  START_IMAGE();
}
