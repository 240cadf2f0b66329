/* An emulated board's side of cases.h: start-up, files by semihosting, SysTick. */
#include <stddef.h>
#include <stdint.h>

#include "cases.h"

extern uint32_t stack_top, data_start, data_end, data_load, bss_start, bss_end;
void reset(void);

static int call(int operation, const void *block) {
  register int r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = block;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

int open_file(const char *name, int write) {
  uint32_t length = 0;
  while (name[length]) length++;
  uintptr_t block[] = {(uintptr_t)name, write ? 5u : 1u, length}; /* wb, rb */
  int file = call(0x01, block);
  if (file < 0) end_program(3);
  return file;
}

uint32_t read_file(int file, void *bytes, uint32_t count) {
  uintptr_t block[] = {(uintptr_t)file, (uintptr_t)bytes, count};
  return count - (uint32_t)call(0x06, block);
}

void write_file(int file, const void *bytes, uint32_t count) {
  uintptr_t block[] = {(uintptr_t)file, (uintptr_t)bytes, count};
  if (call(0x05, block) != 0) end_program(4);
}

void close_file(int file) {
  uintptr_t block[] = {(uintptr_t)file};
  call(0x02, block);
}

uint32_t read_ticks(void) { return *(volatile uint32_t *)0xe000e018u; }

_Noreturn void end_program(int status) {
  uintptr_t block[] = {0x20026u, (uintptr_t)status}; /* application exit */
  call(0x20, block);
  for (;;) {
  }
}

static void fault(void) { end_program(9); }

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    &stack_top, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
};

void reset(void) {
  *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20; /* FPU */
  __asm__ volatile("dsb\n isb");
  for (uint32_t *to = &data_start, *from = &data_load; to < &data_end;) *to++ = *from++;
  for (uint32_t *to = &bss_start; to < &bss_end;) *to++ = 0;
  *(volatile uint32_t *)0xe000e014u = 0xffffffu; /* SysTick: reload, from the core's clock */
  *(volatile uint32_t *)0xe000e018u = 0;
  *(volatile uint32_t *)0xe000e010u = 5;
  end_program(run_cases("cases.bin", "results.bin"));
}
