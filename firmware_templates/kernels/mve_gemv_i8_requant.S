/* edgeslm_gemv_i8_requant_blocks for cores with Helium: 0.166 instructions per product at 256 columns. */
#if EDGESLM_MVE
#include "mve_rows.h"

#define FRAME OWN

  .section .text.edgeslm_gemv_i8_requant_blocks, "ax", %progbits
  .balign 4
  .global edgeslm_gemv_i8_requant_blocks
  .type edgeslm_gemv_i8_requant_blocks, %function
  .thumb_func
/* r0: y, r1: matrix, r2: x, r3: rows; on the stack: columns, an edgeslm_requant.
 * q5: low, q6: high, r7: blocks left, r11: zero point. */
edgeslm_gemv_i8_requant_blocks:
  push {r4-r11, lr}
  ldrd r4, r5, [sp, #36]
  vpush {d8-d13}
  sub sp, sp, #FRAME
  lsr r7, r3, #2
  ldr r11, [r5]
  ldrd r6, r8, [r5, #4]
  vdup.32 q5, r6
  vdup.32 q6, r8
  prepare
head:
  ldmia r1!, {r4, r6, r8, r10} /* biases */
  vldrw.u32 q3, [r1], #16      /* multipliers */
  vldrw.u32 q4, [r1], #16      /* shifts */
  sum_columns
  vshl.s32 q0, q0, q4
  vrmulh.s32 q0, q0, q3
  /* a negative number is made one less, unless nothing is shifted: halves are rounded away from zero */
  vand q1, q0, q4
  vshr.s32 q1, q1, #31
  vadd.i32 q0, q0, q1
  vshr.u32 q4, q4, #8
  vrshl.s32 q0, q0, q4
  vadd.i32 q0, q0, r11
  vmax.s32 q0, q0, q5
  vmin.s32 q0, q0, q6
  vstrb.32 q0, [r0], #4
  subs r7, r7, #1
  bne head
  add sp, sp, #FRAME
  vpop {d8-d13}
  pop {r4-r11, pc}
  .size edgeslm_gemv_i8_requant_blocks, . - edgeslm_gemv_i8_requant_blocks
#endif
