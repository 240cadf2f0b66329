/* Sums of two operands of which one has a factor of 1/2, on cores with the DSP extension: 15 instructions an element.
 *
 * Four elements at a time, step by step, so that what a step needs is loaded for all four.
 * r0: y, r1: x, r2: half, r3: an edgeslm_two_scales     r4-r7: elements     r8-r12: constants     lr: scratch
 */
#if EDGESLM_DSP
  .syntax unified
  .thumb
  .section .text.edgeslm_two_scales_fours, "ax", %progbits
  .balign 4
  .global edgeslm_two_scales_fours
  .type edgeslm_two_scales_fours, %function
  .thumb_func
edgeslm_two_scales_fours:
  push {r4-r11, lr}
1:ldmia r3!, {r8-r12} /* factor, offset, add, mantissa, right */
.macro own value
  ldrsb \value, [r1], #1
  mla \value, \value, r8, r9
  add lr, r10, \value, asr #31
  smmlar \value, \value, r11, lr
  asr \value, \value, r12
.endm
  own r4
  own r5
  own r6
  own r7
  ldmia r3!, {r8-r10} /* factor of half, offset, twice the sign of x */
.macro join value
  ldrsb r12, [r2], #1
  mla r11, r12, r8, r9
  mla \value, \value, r10, r11
.endm
  join r4
  join r5
  join r6
  join r7
  ldmia r3!, {r8-r11} /* add, mantissa, right, the end of y */
.macro finish value
  add lr, r8, \value, asr #31
  smmlar \value, \value, r9, lr
  asr \value, \value, r10
  ssat \value, #8, \value
  strb \value, [r0], #1
.endm
  finish r4
  finish r5
  finish r6
  finish r7
  sub r3, r3, #48
  cmp r0, r11
  bne 1b
  pop {r4-r11, pc}
  .size edgeslm_two_scales_fours, . - edgeslm_two_scales_fours
#endif
