/* Attention's inner loops for cores with an FPU, heads a multiple of 8 long: loads of many registers at once. */
#if EDGESLM_DSP
#include "dsp_exp2.h"

  .section .text.edgeslm_scores_eights, "ax", %progbits
  .balign 4
  .global edgeslm_scores_eights
  .type edgeslm_scores_eights, %function
  .thumb_func
/* r0: scores, r1: q, r2: keys, r3: count; on the stack: head_dim. Returns the greatest in s0.
 * s8-s11: lanes, s15: the greatest, s16-s23: the first eight of q. */
edgeslm_scores_eights:
  ldr r12, [sp]
  push {r4-r6}
  vpush {s16-s23}
  vldmia r1!, {s16-s23}
  ldr r4, =0xff800000
  vmov s15, r4
  sub r5, r12, #8
score:
  vldmia r2!, {s0-s7}
  vmul.f32 s8, s16, s0
  vmul.f32 s9, s17, s1
  vmul.f32 s10, s18, s2
  vmul.f32 s11, s19, s3
  vmul.f32 s4, s20, s4
  vmul.f32 s5, s21, s5
  vmul.f32 s6, s22, s6
  vmul.f32 s7, s23, s7
  vadd.f32 s8, s8, s4
  vadd.f32 s9, s9, s5
  vadd.f32 s10, s10, s6
  vadd.f32 s11, s11, s7
#if EDGESLM_HEAD_DIM != 8
  cbnz r5, more
sum_lanes:
#endif
  vadd.f32 s8, s8, s9
  vadd.f32 s10, s10, s11
  vadd.f32 s8, s8, s10
  vcmp.f32 s8, s15
  vmrs APSR_nzcv, fpscr
  bgt greater
keep:
  vstmia r0!, {s8}
  subs r3, r3, #1
  bne score
  vmov.f32 s0, s15
  vpop {s16-s23}
  pop {r4-r6}
  bx lr
greater:
  vmov.f32 s15, s8
  b keep

#if EDGESLM_HEAD_DIM != 8 /* eights beyond the first */
more:
  mov r4, r1
  mov r6, r5
next_eight:
  vldmia r2!, {s0-s3}
  vldmia r4!, {s4-s7}
  vmul.f32 s0, s4, s0
  vmul.f32 s1, s5, s1
  vmul.f32 s2, s6, s2
  vmul.f32 s3, s7, s3
  vadd.f32 s8, s8, s0
  vadd.f32 s9, s9, s1
  vadd.f32 s10, s10, s2
  vadd.f32 s11, s11, s3
  subs r6, r6, #4
  bne next_eight
  b sum_lanes
#endif
  .ltorg
  .size edgeslm_scores_eights, . - edgeslm_scores_eights

  .section .text.edgeslm_weighted_eights, "ax", %progbits
  .balign 4
  .global edgeslm_weighted_eights
  .type edgeslm_weighted_eights, %function
  .thumb_func
/* r0: y, r1: weights, r2: values, s0: factor, r3: count; on the stack: head_dim. s16-s23: sums, s15: factor. */
edgeslm_weighted_eights:
  ldr r12, [sp]
  push {r4-r7}
  vpush {s16-s23}
  vmov.f32 s15, s0
  lsl r7, r12, #2 /* from a position to the next */
dimensions:
  mov r5, r1
  mov r6, r2
  add r2, r2, #32
  vldmia r5!, {s8}
  vldmia r6, {s16-s23}
  vmul.f32 s16, s8, s16
  vmul.f32 s17, s8, s17
  vmul.f32 s18, s8, s18
  vmul.f32 s19, s8, s19
  vmul.f32 s20, s8, s20
  vmul.f32 s21, s8, s21
  vmul.f32 s22, s8, s22
  vmul.f32 s23, s8, s23
  subs r4, r3, #1
  beq sums_ready
next_position:
  add r6, r6, r7
  vldmia r5!, {s8}
  vldmia r6, {s0-s7}
  vmul.f32 s0, s8, s0
  vmul.f32 s1, s8, s1
  vmul.f32 s2, s8, s2
  vmul.f32 s3, s8, s3
  vmul.f32 s4, s8, s4
  vmul.f32 s5, s8, s5
  vmul.f32 s6, s8, s6
  vmul.f32 s7, s8, s7
  vadd.f32 s16, s16, s0
  vadd.f32 s17, s17, s1
  vadd.f32 s18, s18, s2
  vadd.f32 s19, s19, s3
  vadd.f32 s20, s20, s4
  vadd.f32 s21, s21, s5
  vadd.f32 s22, s22, s6
  vadd.f32 s23, s23, s7
  subs r4, r4, #1
  bne next_position
sums_ready:
  vmul.f32 s16, s16, s15
  vmul.f32 s17, s17, s15
  vmul.f32 s18, s18, s15
  vmul.f32 s19, s19, s15
  vmul.f32 s20, s20, s15
  vmul.f32 s21, s21, s15
  vmul.f32 s22, s22, s15
  vmul.f32 s23, s23, s15
  vstmia r0!, {s16-s23}
  subs r12, r12, #8
  bne dimensions
  vpop {s16-s23}
  pop {r4-r7}
  bx lr
  .size edgeslm_weighted_eights, . - edgeslm_weighted_eights

  .section .text.edgeslm_exp2_row, "ax", %progbits
  .balign 4
  .global edgeslm_exp2_row
  .type edgeslm_exp2_row, %function
  .thumb_func
/* r0: x, s0: greatest, r1: n. Returns the sum in s0. s8-s11: lanes. */
edgeslm_exp2_row:
  push {r4-r7, lr}
  bl edgeslm_exp2_begin
  vsub.f32 s8, s4, s4
  vmov.f32 s9, s8
  vmov.f32 s10, s8
  vmov.f32 s11, s8

.macro exp2_into first, second
  vldmia r0, {s14-s15}
  vsub.f32 s14, s14, s0
  vsub.f32 s15, s15, s0
  bl edgeslm_exp2_two
  vstmia r0!, {s14-s15}
  vadd.f32 \first, \first, s14
  vadd.f32 \second, \second, s15
.endm
  subs r1, r1, #4
  blo exp2_last
exp2_four:
  exp2_into s8, s9
  exp2_into s10, s11
  subs r1, r1, #4
  bhs exp2_four
exp2_last:
  adds r1, r1, #4
  beq exp2_done
  mov r12, #0 /* the lane */
exp2_one:
  vldmia r0, {s14}
  vsub.f32 s14, s14, s0
  bl edgeslm_exp2_two /* the second is not used */
  vstmia r0!, {s14}
  cmp r12, #1
  it lo
  vaddlo.f32 s8, s8, s14
  it eq
  vaddeq.f32 s9, s9, s14
  it hi
  vaddhi.f32 s10, s10, s14
  add r12, r12, #1
  subs r1, r1, #1
  bne exp2_one
exp2_done:
  vadd.f32 s8, s8, s9
  vadd.f32 s10, s10, s11
  vadd.f32 s0, s8, s10
  pop {r4-r7, pc}
  .size edgeslm_exp2_row, . - edgeslm_exp2_row
#endif
