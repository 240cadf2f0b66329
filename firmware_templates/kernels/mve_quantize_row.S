/* The two passes of edgeslm_quantize_row for cores with Helium. */
#if EDGESLM_MVE
  .syntax unified
  .thumb

  .section .text.edgeslm_greatest, "ax", %progbits
  .balign 4
  .global edgeslm_greatest
  .type edgeslm_greatest, %function
  .thumb_func
/* r0: x, r1: columns. Returns twice the bits of the greatest magnitude. */
edgeslm_greatest:
  push {lr}
  mov r3, #0
  lsr r2, r1, #2
  wls lr, r2, 2f
1:vldrw.u32 q0, [r0], #16
  vmaxnmav.f32 r3, q0
  le lr, 1b
2:ands r1, r1, #3
  beq 3f
  vctp.32 r1
  vpst
  vldrwt.u32 q0, [r0]
  vmaxnmav.f32 r3, q0 /* lanes that were not loaded are 0 */
3:lsl r0, r3, #1
  pop {pc}
  .size edgeslm_greatest, . - edgeslm_greatest

  .section .text.edgeslm_quantize_fours, "ax", %progbits
  .balign 4
  .global edgeslm_quantize_fours
  .type edgeslm_quantize_fours, %function
  .thumb_func
/* r0: values, r1: x, r2: columns, a multiple of 4 and not 0, s0: factor. Returns the sum of values. */
edgeslm_quantize_fours:
  push {r4, lr}
  vmov r12, s0
  mov r4, #0
  lsr r2, r2, #2
  dls lr, r2
1:vldrw.u32 q0, [r1], #16
  vmul.f32 q0, q0, r12
  vcvtn.s32.f32 q0, q0 /* half to even */
  vstrb.32 q0, [r0], #4
  vaddva.s32 r4, q0
  le lr, 1b
  mov r0, r4
  pop {r4, pc}
  .size edgeslm_quantize_fours, . - edgeslm_quantize_fours

  .section .text.edgeslm_saturate_row, "ax", %progbits
  .balign 4
  .global edgeslm_saturate_row
  .type edgeslm_saturate_row, %function
  .thumb_func
/* As edgeslm_quantize_fours, for any size of x * factor and eights of columns: even and odd columns meet again when
 * they become the bottom and the top of halfwords. */
edgeslm_saturate_row:
  push {r4, lr}
  vmov r12, s0
  mov r4, #0
  vmov.i16 q3, #0
  lsr r2, r2, #3
  dls lr, r2
1:vld20.32 {q0, q1}, [r1]
  vld21.32 {q0, q1}, [r1]!
  vmul.f32 q0, q0, r12
  vmul.f32 q1, q1, r12
  vcvtn.s32.f32 q0, q0
  vcvtn.s32.f32 q1, q1
  vqmovnb.s32 q2, q0
  vqmovnt.s32 q2, q1
  vqmovnb.s16 q3, q2
  vstrb.16 q3, [r0], #8
  vmovlb.s8 q2, q3
  vaddva.s16 r4, q2
  le lr, 1b
  mov r0, r4
  pop {r4, pc}
  .size edgeslm_saturate_row, . - edgeslm_saturate_row
#endif
