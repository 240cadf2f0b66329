/* Attention's inner loops for cores with Helium, heads a multiple of 8 long; and rows of exponentials. */
#if EDGESLM_MVE
#include "mve_exp2.h"

  .section .text.edgeslm_scores_eights, "ax", %progbits
  .balign 4
  .global edgeslm_scores_eights
  .type edgeslm_scores_eights, %function
  .thumb_func
/* r0: scores, r1: q, r2: keys, r3: count; on the stack: head_dim. Returns the greatest in s0.
 * q2, q3: the first eight of q, s16: the greatest. */
edgeslm_scores_eights:
  ldr r12, [sp]
  push {r4-r6, lr}
  vpush {d8-d11}
  ldr r4, =0xff800000
  vmov s16, r4
  vldrw.u32 q2, [r1], #16
  vldrw.u32 q3, [r1], #16
  sub r5, r12, #8
  dls lr, r3
score:
  vldrw.u32 q0, [r2], #16
  vldrw.u32 q1, [r2], #16
  vmul.f32 q0, q2, q0
  vmul.f32 q1, q3, q1
  vadd.f32 q0, q0, q1
#if EDGESLM_HEAD_DIM != 8
  cbnz r5, more
sum_lanes:
#endif
  vadd.f32 s0, s0, s1
  vadd.f32 s2, s2, s3
  vadd.f32 s0, s0, s2
  vmaxnm.f32 s16, s16, s0
  vstmia r0!, {s0}
  le lr, score
  vmov.f32 s0, s16
  vpop {d8-d11}
  pop {r4-r6, pc}

#if EDGESLM_HEAD_DIM != 8 /* eights beyond the first */
more:
  mov r4, r1
  mov r6, r5
next_four:
  vldrw.u32 q1, [r2], #16
  vldrw.u32 q5, [r4], #16
  vmul.f32 q1, q5, q1
  vadd.f32 q0, q0, q1
  subs r6, r6, #4
  bne next_four
  b sum_lanes
#endif
  .ltorg
  .size edgeslm_scores_eights, . - edgeslm_scores_eights

  .section .text.edgeslm_weighted_eights, "ax", %progbits
  .balign 4
  .global edgeslm_weighted_eights
  .type edgeslm_weighted_eights, %function
  .thumb_func
/* r0: y, r1: weights, r2: values, s0: factor, r3: count; on the stack: head_dim. q2, q3: sums, r8: factor. */
edgeslm_weighted_eights:
  ldr r12, [sp]
  push {r4-r8, lr}
  vmov r8, s0
  lsl r7, r12, #2
  sub r7, r7, #16 /* from a position's second four to the next */
dimensions:
  mov r5, r1
  mov r6, r2
  add r2, r2, #32
  ldr r4, [r5], #4
  vldrw.u32 q2, [r6], #16
  vldrw.u32 q3, [r6]
  add r6, r6, r7
  vmul.f32 q2, q2, r4
  vmul.f32 q3, q3, r4
  sub r4, r3, #1
  wls lr, r4, sums_ready
position:
  ldr r4, [r5], #4
  vldrw.u32 q0, [r6], #16
  vldrw.u32 q1, [r6]
  vmul.f32 q0, q0, r4
  add r6, r6, r7
  vmul.f32 q1, q1, r4
  vadd.f32 q2, q2, q0
  vadd.f32 q3, q3, q1
  le lr, position
sums_ready:
  vmul.f32 q2, q2, r8
  vmul.f32 q3, q3, r8
  vstrw.32 q2, [r0], #16
  vstrw.32 q3, [r0], #16
  subs r12, r12, #8
  bne dimensions
  pop {r4-r8, pc}
  .size edgeslm_weighted_eights, . - edgeslm_weighted_eights

  .section .text.edgeslm_exp2_row, "ax", %progbits
  .balign 4
  .global edgeslm_exp2_row
  .type edgeslm_exp2_row, %function
  .thumb_func
/* r0: x, s0: greatest, r1: n. Returns the sum in s0. q3: lanes, r9: greatest. No x is above the greatest. */
edgeslm_exp2_row:
  push {r4-r9, lr}
  vpush {d8-d13}
  vmov r9, s0
  exp2_constants
  vmov.i32 q3, #0
  lsr r3, r1, #2
  wls lr, r3, exp2_last
exp2_next:
  vldrw.u32 q0, [r0]
  vsub.f32 q0, q0, r9
  exp2_four
  vadd.f32 q3, q3, q1
  vstrw.32 q1, [r0], #16
  le lr, exp2_next
exp2_last:
  ands r1, r1, #3
  beq exp2_done
  vctp.32 r1
  vpst
  vldrwt.u32 q0, [r0]
  vsub.f32 q0, q0, r9
  exp2_four
  vpstt
  vaddt.f32 q3, q3, q1
  vstrwt.32 q1, [r0]
exp2_done:
  vadd.f32 s12, s12, s13
  vadd.f32 s14, s14, s15
  vadd.f32 s0, s12, s14
  vpop {d8-d13}
  pop {r4-r9, pc}
  .ltorg
  .size edgeslm_exp2_row, . - edgeslm_exp2_row
#endif
