/* The two passes of edgeslm_quantize_row for cores with the DSP extension and an FPU. */
#if EDGESLM_DSP
  .syntax unified
  .thumb

  .section .text.edgeslm_greatest, "ax", %progbits
  .balign 4
  .global edgeslm_greatest
  .type edgeslm_greatest, %function
  .thumb_func
/* r0: x, r1: columns. Returns twice the bits of the greatest magnitude. */
edgeslm_greatest:
  push {r4-r7}
  mov r3, #0
.macro greater x
  cmp r3, \x, lsl #1
  it lo
  lsllo r3, \x, #1
.endm
  subs r1, r1, #4
  blo 2f
1:ldmia r0!, {r4-r7}
  greater r4
  greater r5
  greater r6
  greater r7
  subs r1, r1, #4
  bhs 1b
2:
#if !defined(EDGESLM_FOURS) || !EDGESLM_FOURS
  adds r1, r1, #4
  beq 4f
3:ldr r4, [r0], #4
  greater r4
  subs r1, r1, #1
  bne 3b
4:
#endif
  mov r0, r3
  pop {r4-r7}
  bx lr
  .size edgeslm_greatest, . - edgeslm_greatest

  .section .text.edgeslm_quantize_fours, "ax", %progbits
  .balign 4
  .global edgeslm_quantize_fours
  .type edgeslm_quantize_fours, %function
  .thumb_func
/* r0: values, r1: x, r2: columns, a multiple of 4 and not 0, s0: factor. Returns the sum of values.
 * A sum with 1.5 * 2^23 rounds half to even; its low halfword is the integer. */
edgeslm_quantize_fours:
  push {r4-r7}
  mov r3, #0
  ldr r12, =0x4b400000
  vmov s1, r12
  mov r12, #0x00010001
1:vldmia r1!, {s2-s5}
  vmul.f32 s2, s2, s0
  vmul.f32 s3, s3, s0
  vmul.f32 s4, s4, s0
  vmul.f32 s5, s5, s0
  vadd.f32 s2, s2, s1
  vadd.f32 s3, s3, s1
  vadd.f32 s4, s4, s1
  vadd.f32 s5, s5, s1
  vmov r4, r5, s2, s3
  vmov r6, r7, s4, s5
  pkhbt r4, r4, r5, lsl #16
  pkhbt r5, r6, r7, lsl #16
  smlad r3, r4, r12, r3
  smlad r3, r5, r12, r3
  stmia r0!, {r4, r5}
  subs r2, r2, #4
  bne 1b
  mov r0, r3
  pop {r4-r7}
  bx lr
  .ltorg
  .size edgeslm_quantize_fours, . - edgeslm_quantize_fours

  .section .text.edgeslm_saturate_row, "ax", %progbits
  .balign 4
  .global edgeslm_saturate_row
  .type edgeslm_saturate_row, %function
  .thumb_func
/* As edgeslm_quantize_fours, for any size of x * factor. VCVTR rounds as FPSCR says: half to even. */
edgeslm_saturate_row:
  push {r4-r7}
  mov r3, #0
  mov r12, #0x00010001
1:vldmia r1!, {s2-s5}
  vmul.f32 s2, s2, s0
  vmul.f32 s3, s3, s0
  vmul.f32 s4, s4, s0
  vmul.f32 s5, s5, s0
  vcvtr.s32.f32 s2, s2
  vcvtr.s32.f32 s3, s3
  vcvtr.s32.f32 s4, s4
  vcvtr.s32.f32 s5, s5
  vmov r4, r5, s2, s3
  vmov r6, r7, s4, s5
  ssat r4, #8, r4
  ssat r5, #8, r5
  ssat r6, #8, r6
  ssat r7, #8, r7
  pkhbt r4, r4, r5, lsl #16
  pkhbt r5, r6, r7, lsl #16
  smlad r3, r4, r12, r3
  smlad r3, r5, r12, r3
  stmia r0!, {r4, r5}
  subs r2, r2, #4
  bne 1b
  mov r0, r3
  pop {r4-r7}
  bx lr
  .size edgeslm_saturate_row, . - edgeslm_saturate_row
#endif
