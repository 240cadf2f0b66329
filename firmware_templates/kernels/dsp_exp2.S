/* edgeslm_exp2 of two numbers at a time, with an FPU: what exponentials of rows and SiLU share. */
#if EDGESLM_DSP
#include "dsp_exp2.h"

  .section .text.edgeslm_exp2_begin, "ax", %progbits
  .balign 4
  .global edgeslm_exp2_begin
  .type edgeslm_exp2_begin, %function
  .thumb_func
edgeslm_exp2_begin:
  ldr r3, =0x48c00000
  vmov s1, r3
  ldr r2, =0x3e75fdf0
  vmov s2, r2
  ldr r2, =0x3f3172c2
  vmov s3, r2
  vmov.f32 s4, #1.0
  ldr r2, =edgeslm_exp2_table
  bx lr
  .ltorg
  .size edgeslm_exp2_begin, . - edgeslm_exp2_begin

/* In a register: 32 * exponent + place in the table -> float bits of the power. */
.macro power steps, scratch
  sub \steps, \steps, r3
  ssat \steps, #12, \steps
  and \scratch, \steps, #31
  ldr \scratch, [r2, \scratch, lsl #2]
  add \steps, \scratch, \steps, lsl #18
.endm

/* \a holds what is left of t, \power the power. */
.macro polynomial a, power
  vmul.f32 s7, \a, s2
  vadd.f32 s7, s7, s3
  vmul.f32 s7, s7, \a
  vadd.f32 s7, s7, s4
  vmul.f32 \a, \power, s7
.endm

  .section .text.edgeslm_exp2_two, "ax", %progbits
  .balign 4
  .global edgeslm_exp2_two
  .type edgeslm_exp2_two, %function
  .thumb_func
edgeslm_exp2_two:
  vadd.f32 s5, s14, s1
  vadd.f32 s6, s15, s1
  vmov r4, r5, s5, s6
  vsub.f32 s5, s5, s1
  vsub.f32 s6, s6, s1
  vsub.f32 s14, s14, s5
  vsub.f32 s15, s15, s6
  power r4, r6
  power r5, r7
  vmov s5, s6, r4, r5
  polynomial s14, s5
  polynomial s15, s6
  bx lr
  .size edgeslm_exp2_two, . - edgeslm_exp2_two
#endif
