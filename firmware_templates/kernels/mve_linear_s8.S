/* edgeslm_linear_one for cores with Helium: 0.17 instructions per product at 256 columns. */
#if EDGESLM_MVE
#include "mve_rows.h"
#include "short_plan.h"

#define HEAD OWN /* bytes of factors in a block's head */
#define FRAME (OWN + 4)

  .section .text.edgeslm_linear_one, "ax", %progbits
  .balign 4
  .global edgeslm_linear_one
  .type edgeslm_linear_one, %function
  .thumb_func
/* r0: y, r1: matrix, r2: x, r3: rows; on the stack: an edgeslm_linear_plan.
 * q5: low, q6: high, r5: bytes to the next factors, r7: blocks left, r11: zero point, r12: factors. */
edgeslm_linear_one:
  push {r4-r11, lr}
  ldr r5, [sp, #36]
  vpush {d8-d13}
  sub sp, sp, #FRAME
  lsr r7, r3, #2
  ldr r6, [r5, #PLAN_HEAD]
  sub r6, r6, #16
  str r6, [sp, #HEAD]
  ldr r4, [r5, #PLAN_COLUMNS]
  ldr r11, [r5, #PLAN_ZERO]
  ldrd r6, r8, [r5, #PLAN_LOW]
  vdup.32 q5, r6
  vdup.32 q6, r8
  ldrd r12, r5, [r5]
  lsl r5, r5, #2
  prepare
head:
  ldr lr, [sp, #HEAD]
  ldmia r1!, {r4, r6, r8, r10} /* biases */
  add r1, r1, lr
  sum_columns
  vldrw.u32 q3, [r12] /* mantissas */
  vshr.s32 q1, q0, #31
  vldrw.u32 q4, [r12, #16] /* shifts */
  vqrdmulh.s32 q0, q0, q3
  add r12, r12, r5
  vadd.i32 q0, q0, q1
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
  .size edgeslm_linear_one, . - edgeslm_linear_one
#endif
