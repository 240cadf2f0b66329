/* edgeslm_two_by_two for cores with the DSP extension: 16 products in 13 instructions.
 *
 * r4-r7  four terms of two rows     r0, r3, r12, lr  of two columns     r8-r11  sums
 */
#if EDGESLM_DSP
  .syntax unified
  .thumb
  .section .text.edgeslm_two_by_two, "ax", %progbits
  .balign 4
  .global edgeslm_two_by_two
  .type edgeslm_two_by_two, %function
  .thumb_func
/* r0: sums, r1: rows, r2: columns, r3: the end of rows. */
edgeslm_two_by_two:
  push {r0, r3-r11, lr}
  mov r8, #0
  mov r9, r8
  mov r10, r8
  mov r11, r8
1:ldmia r1!, {r4-r7}
  ldmia r2!, {r0, r3, r12, lr}
  smlad r8, r4, r0, r8
  smlad r9, r4, r12, r9
  smlad r10, r6, r0, r10
  smlad r11, r6, r12, r11
  ldr r0, [sp, #4]
  smlad r8, r5, r3, r8
  smlad r9, r5, lr, r9
  smlad r10, r7, r3, r10
  smlad r11, r7, lr, r11
  cmp r1, r0
  bne 1b
  pop {r0, r3}
  stmia r0, {r8-r11}
  pop {r4-r11, pc}
  .size edgeslm_two_by_two, . - edgeslm_two_by_two
#endif
