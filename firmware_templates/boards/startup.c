/* From reset to main, and what happens when the core faults. */
#include "edgeslm_board.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define VECTOR_TABLE REGISTER(0xe000ed08u)
#define RESET_CONTROL REGISTER(0xe000ed0cu)
#define COPROCESSORS REGISTER(0xe000ed88u)
#define FAULT_STATUS REGISTER(0xe000ed28u)

#define PAINT 0xc0deface

/* From the linker script. The stack lies below everything else: one that is too deep faults instead of writing into
 * the model's state. */
extern uint32_t edgeslm_stack_bottom[], edgeslm_stack_top[];
extern uint32_t edgeslm_data_start[], edgeslm_data_end[], edgeslm_bss_start[], edgeslm_bss_end[];
extern const uint32_t edgeslm_data_load[];

int main(void);
void edgeslm_reset(void);
void edgeslm_fault(void);
void edgeslm_systick(void);

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))(uintptr_t)edgeslm_stack_top,
    edgeslm_reset,
    edgeslm_fault, /* NMI */
    edgeslm_fault, /* hard */
    edgeslm_fault, /* memory */
    edgeslm_fault, /* bus */
    edgeslm_fault, /* usage */
    edgeslm_fault, /* secure */
    0,
    0,
    0,
    edgeslm_fault, /* SVCall */
    edgeslm_fault, /* debug monitor */
    0,
    edgeslm_fault, /* PendSV */
    edgeslm_systick,
};

void edgeslm_reset(void) {
  const uint32_t *load = edgeslm_data_load;
  uint32_t *here;
  __asm__ volatile("mov %0, sp" : "=r"(here));
  for (uint32_t *word = edgeslm_stack_bottom; word < here - 8; word++) *word = PAINT;
  for (uint32_t *word = edgeslm_data_start; word < edgeslm_data_end; word++) *word = *load++;
  for (uint32_t *word = edgeslm_bss_start; word < edgeslm_bss_end; word++) *word = 0;
  VECTOR_TABLE = (uint32_t)(uintptr_t)vectors;
#ifdef __ARM_FP
  COPROCESSORS |= 0xfu << 20; /* FPU and Helium */
  __asm__ volatile("dsb\n isb" ::: "memory");
#endif
  edgeslm_board_start();
  edgeslm_ticks_start();
  edgeslm_board_stop((uint32_t)main());
}

uint32_t edgeslm_stack_bytes(void) { return 4u * (uint32_t)(edgeslm_stack_top - edgeslm_stack_bottom); }

uint32_t edgeslm_stack_used(void) {
  const volatile uint32_t *word = edgeslm_stack_bottom;
  while (word < edgeslm_stack_top && *word == PAINT) word++;
  return 4u * (uint32_t)(edgeslm_stack_top - word);
}

/* The stack may be what is broken: begin it anew, and say what happened. */
__attribute__((naked)) void edgeslm_fault(void) {
  __asm__ volatile("mrs r1, msp\n ldr r0, =edgeslm_stack_top\n msr msp, r0\n mov r0, r1\n bl edgeslm_end_by_fault\n .ltorg");
}

_Noreturn void edgeslm_end_by_fault(const uint32_t *frame);
_Noreturn void edgeslm_end_by_fault(const uint32_t *frame) {
  uint32_t depth = (uint32_t)((uintptr_t)frame - (uintptr_t)edgeslm_stack_bottom);
  uint32_t address = depth < edgeslm_stack_bytes() ? frame[6] : 0u; /* the program counter, if it could be stored */
#ifdef __ARM_ARCH_6M__
  edgeslm_report_fault(0, address);
#else
  edgeslm_report_fault(FAULT_STATUS, address);
#endif
  edgeslm_board_stop(70);
}

_Noreturn void edgeslm_board_stop(uint32_t status) {
#ifdef EDGESLM_SEMIHOSTING
  const uint32_t block[2] = {0x20026u, status}; /* the program ended by itself */
  register uint32_t operation __asm__("r0") = 0x20u;
  register const uint32_t *argument __asm__("r1") = block;
  __asm__ volatile("bkpt 0xab" ::"r"(operation), "r"(argument) : "memory");
#else
  (void)status;
  RESET_CONTROL = 0x05fa0004u;
#endif
  for (;;) {
  }
}
