/* Rows of floats, a multiple of 4 long, for cores with an FPU. */
#if EDGESLM_DSP
  .syntax unified
  .thumb

  .section .text.edgeslm_dot_fours, "ax", %progbits
  .balign 4
  .global edgeslm_dot_fours
  .type edgeslm_dot_fours, %function
  .thumb_func
/* r0: a, r1: b, r2: n, not 0. s8-s11: lanes. */
edgeslm_dot_fours:
  vldmia r0!, {s0-s3}
  vldmia r1!, {s4-s7}
  vmul.f32 s8, s0, s4
  vmul.f32 s9, s1, s5
  vmul.f32 s10, s2, s6
  vmul.f32 s11, s3, s7
  b 2f
1:vldmia r0!, {s0-s3}
  vldmia r1!, {s4-s7}
  vmul.f32 s0, s0, s4
  vmul.f32 s1, s1, s5
  vmul.f32 s2, s2, s6
  vmul.f32 s3, s3, s7
  vadd.f32 s8, s8, s0
  vadd.f32 s9, s9, s1
  vadd.f32 s10, s10, s2
  vadd.f32 s11, s11, s3
2:subs r2, r2, #4
  bne 1b
  vadd.f32 s8, s8, s9
  vadd.f32 s10, s10, s11
  vadd.f32 s0, s8, s10
  bx lr
  .size edgeslm_dot_fours, . - edgeslm_dot_fours

  .section .text.edgeslm_normalize_fours, "ax", %progbits
  .balign 4
  .global edgeslm_normalize_fours
  .type edgeslm_normalize_fours, %function
  .thumb_func
/* r0: y, r1: x, r2: weight, s0: factor, r3: n, not 0. */
edgeslm_normalize_fours:
  vldmia r1!, {s4-s7}
  vldmia r2!, {s8-s11}
  vmul.f32 s4, s4, s0
  vmul.f32 s5, s5, s0
  vmul.f32 s6, s6, s0
  vmul.f32 s7, s7, s0
  vmul.f32 s4, s4, s8
  vmul.f32 s5, s5, s9
  vmul.f32 s6, s6, s10
  vmul.f32 s7, s7, s11
  vstmia r0!, {s4-s7}
  subs r3, r3, #4
  bne edgeslm_normalize_fours
  bx lr
  .size edgeslm_normalize_fours, . - edgeslm_normalize_fours

  .section .text.edgeslm_scale_fours, "ax", %progbits
  .balign 4
  .global edgeslm_scale_fours
  .type edgeslm_scale_fours, %function
  .thumb_func
/* r0: x, s0: factor, r1: n, not 0. */
edgeslm_scale_fours:
  vldmia r0, {s4-s7}
  vmul.f32 s4, s4, s0
  vmul.f32 s5, s5, s0
  vmul.f32 s6, s6, s0
  vmul.f32 s7, s7, s0
  vstmia r0!, {s4-s7}
  subs r1, r1, #4
  bne edgeslm_scale_fours
  bx lr
  .size edgeslm_scale_fours, . - edgeslm_scale_fours

  .section .text.edgeslm_rope_fours, "ax", %progbits
  .balign 4
  .global edgeslm_rope_fours
  .type edgeslm_rope_fours, %function
  .thumb_func
/* r0: a, r1: b, r2: cosines, r3: sines; on the stack: n, not 0. a = a cos - b sin, b = b cos + a sin. */
edgeslm_rope_fours:
  ldr r12, [sp]
  vpush {s16-s23}
1:vldmia r0, {s0-s3}
  vldmia r1, {s4-s7}
  vldmia r2!, {s8-s11}
  vldmia r3!, {s12-s15}
  vmul.f32 s16, s0, s8
  vmul.f32 s17, s1, s9
  vmul.f32 s18, s2, s10
  vmul.f32 s19, s3, s11
  vmul.f32 s20, s4, s12
  vmul.f32 s21, s5, s13
  vmul.f32 s22, s6, s14
  vmul.f32 s23, s7, s15
  vsub.f32 s16, s16, s20
  vsub.f32 s17, s17, s21
  vsub.f32 s18, s18, s22
  vsub.f32 s19, s19, s23
  vstmia r0!, {s16-s19}
  vmul.f32 s4, s4, s8
  vmul.f32 s5, s5, s9
  vmul.f32 s6, s6, s10
  vmul.f32 s7, s7, s11
  vmul.f32 s0, s0, s12
  vmul.f32 s1, s1, s13
  vmul.f32 s2, s2, s14
  vmul.f32 s3, s3, s15
  vadd.f32 s4, s4, s0
  vadd.f32 s5, s5, s1
  vadd.f32 s6, s6, s2
  vadd.f32 s7, s7, s3
  vstmia r1!, {s4-s7}
  subs r12, r12, #4
  bne 1b
  vpop {s16-s23}
  bx lr
  .size edgeslm_rope_fours, . - edgeslm_rope_fours
#endif
