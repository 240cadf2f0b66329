/* Rows of floats, a multiple of 4 long, for cores with Helium. */
#if EDGESLM_MVE
  .syntax unified
  .thumb

  .section .text.edgeslm_dot_fours, "ax", %progbits
  .balign 4
  .global edgeslm_dot_fours
  .type edgeslm_dot_fours, %function
  .thumb_func
/* r0: a, r1: b, r2: n, not 0. q2: lanes. */
edgeslm_dot_fours:
  push {lr}
  vldrw.u32 q0, [r0], #16
  vldrw.u32 q1, [r1], #16
  vmul.f32 q2, q0, q1
  lsr r2, r2, #2
  sub r2, r2, #1
  wls lr, r2, 2f
1:vldrw.u32 q0, [r0], #16
  vldrw.u32 q1, [r1], #16
  vmul.f32 q0, q0, q1
  vadd.f32 q2, q2, q0
  le lr, 1b
2:vadd.f32 s8, s8, s9
  vadd.f32 s10, s10, s11
  vadd.f32 s0, s8, s10
  pop {pc}
  .size edgeslm_dot_fours, . - edgeslm_dot_fours

  .section .text.edgeslm_normalize_fours, "ax", %progbits
  .balign 4
  .global edgeslm_normalize_fours
  .type edgeslm_normalize_fours, %function
  .thumb_func
/* r0: y, r1: x, r2: weight, s0: factor, r3: n, not 0. */
edgeslm_normalize_fours:
  push {lr}
  vmov r12, s0
  lsr r3, r3, #2
  dls lr, r3
1:vldrw.u32 q0, [r1], #16
  vldrw.u32 q1, [r2], #16
  vmul.f32 q0, q0, r12
  vmul.f32 q0, q0, q1
  vstrw.32 q0, [r0], #16
  le lr, 1b
  pop {pc}
  .size edgeslm_normalize_fours, . - edgeslm_normalize_fours

  .section .text.edgeslm_scale_fours, "ax", %progbits
  .balign 4
  .global edgeslm_scale_fours
  .type edgeslm_scale_fours, %function
  .thumb_func
/* r0: x, s0: factor, r1: n, not 0. */
edgeslm_scale_fours:
  push {lr}
  vmov r12, s0
  lsr r1, r1, #2
  dls lr, r1
1:vldrw.u32 q0, [r0]
  vmul.f32 q0, q0, r12
  vstrw.32 q0, [r0], #16
  le lr, 1b
  pop {pc}
  .size edgeslm_scale_fours, . - edgeslm_scale_fours

  .section .text.edgeslm_rope_fours, "ax", %progbits
  .balign 4
  .global edgeslm_rope_fours
  .type edgeslm_rope_fours, %function
  .thumb_func
/* r0: a, r1: b, r2: cosines, r3: sines; on the stack: n, not 0. a = a cos - b sin, b = b cos + a sin. */
edgeslm_rope_fours:
  ldr r12, [sp]
  vpush {d8-d9}
1:vldrw.u32 q0, [r0]
  vldrw.u32 q2, [r2], #16
  vldrw.u32 q3, [r3], #16
  vmul.f32 q4, q0, q2
  vldrw.u32 q1, [r1]
  vmul.f32 q0, q0, q3
  vmul.f32 q3, q1, q3
  vmul.f32 q1, q1, q2
  vsub.f32 q4, q4, q3
  vadd.f32 q1, q1, q0
  vstrw.32 q4, [r0], #16
  vstrw.32 q1, [r1], #16
  subs r12, r12, #4
  bne 1b
  vpop {d8-d9}
  bx lr
  .size edgeslm_rope_fours, . - edgeslm_rope_fours

  .section .text.edgeslm_argmax_fours, "ax", %progbits
  .balign 4
  .global edgeslm_argmax_fours
  .type edgeslm_argmax_fours, %function
  .thumb_func
/* r0: x, r1: n, not 0. The greatest first, then where it comes first. */
edgeslm_argmax_fours:
  push {lr}
  ldr r12, =0xff800000
  mov r2, r0
  lsr r3, r1, #2
  dls lr, r3
1:vldrw.u32 q0, [r2], #16
  vmaxnmv.f32 r12, q0
  le lr, 1b
  dls lr, r3
  mov r2, r0
2:vldrw.u32 q0, [r2], #16
  vcmp.f32 eq, q0, r12
  vmrs r3, p0
  cbnz r3, 3f
  le lr, 2b
3:sub r2, r2, #16
  sub r2, r2, r0
  rbit r3, r3
  clz r3, r3 /* four bits for a lane */
  lsr r0, r2, #2
  add r0, r0, r3, lsr #2
  pop {pc}
  .ltorg
  .size edgeslm_argmax_fours, . - edgeslm_argmax_fours
#endif
