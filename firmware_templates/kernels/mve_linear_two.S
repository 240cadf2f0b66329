/* edgeslm_linear_two for cores with Helium: 0.135 instructions per product at 256 columns, 0.19 at
 * 64, what is around it included.
 *
 * r4, r6, r8, r10  sums of four rows of the matrix by the first row of x     r0, r2, r12, lr  by the second
 * q0, q1  x        q2, q3  weights       r1  the matrix     r3, r5  x as it goes
 * r7  what is left of the loop           r9  its entry      r11  its count
 * q5: low, q6: high, q7: where results go: eight halfwords each
 */
#if EDGESLM_MVE
#include "short_plan.h"
  .syntax unified
  .thumb

#define X 0        /* both rows */
#define Y 8
#define LEFT 12    /* blocks */
#define FACTORS 16
#define STEP 20    /* bytes to those of the next block */
#define HEAD 24    /* bytes of factors in a block's head */
#define LAST 28    /* columns beyond a multiple of 16 */
#define ZERO 32
#define FRAME 40

/* 128 products in 14 instructions. */
.macro sixteen_columns
  vldrb.u8 q0, [r3], #16
  vldrb.u8 q2, [r1], #16
  vldrb.u8 q1, [r5], #16
  vmladava.s8 r4, q0, q2
  vldrb.u8 q3, [r1], #16
  vmladava.s8 r0, q1, q2
  vldrb.u8 q2, [r1], #16
  vmladava.s8 r6, q0, q3
  vmladava.s8 r2, q1, q3
  vldrb.u8 q3, [r1], #16
  vmladava.s8 r8, q0, q2
  vmladava.s8 r12, q1, q2
  vmladava.s8 r10, q0, q3
  vmladava.s8 lr, q1, q3
.endm

  .section .text.edgeslm_linear_two, "ax", %progbits
  .balign 4
  .global edgeslm_linear_two
  .type edgeslm_linear_two, %function
  .thumb_func
/* r0: y, r1: matrix, r2: x, r3: rows; on the stack: an edgeslm_linear_plan. */
edgeslm_linear_two:
  push {r4-r11, lr}
  ldr r5, [sp, #36]
  vpush {d8-d15}
  sub sp, sp, #FRAME
  lsr r3, r3, #2
  strd r0, r3, [sp, #Y]
  ldr r4, [r5, #PLAN_COLUMNS]
  add r6, r4, #15
  bic r6, r6, #15
  add r6, r2, r6
  strd r2, r6, [sp, #X]
  ldr r6, [r5, #PLAN_HEAD]
  sub r6, r6, #16
  and r7, r4, #15
  strd r6, r7, [sp, #HEAD]
  ldrd r6, r8, [r5, #PLAN_LOW]
  vdup.16 q5, r6
  vdup.16 q6, r8
  ldr r6, [r5, #PLAN_ZERO]
  str r6, [sp, #ZERO]
  /* places of results: 0, step, 1, step + 1, … */
  ldr r6, [r5, #PLAN_Y_STEP]
  lsl r6, r6, #16
  vdup.32 q7, r6
  mov r8, #0
  vidup.u32 q0, r8, #1
  vadd.i32 q7, q7, q0
  vshl.i32 q0, q0, #16
  vadd.i32 q7, q7, q0
  ldrd r6, r8, [r5]
  lsl r8, r8, #2
  strd r6, r8, [sp, #FACTORS]
  adr.w r9, behind
  lsrs r4, r4, #4
  add r11, r4, #3
  lsr r11, r11, #2
  beq 1f
  /* the loop has four sixteens: those that are too many at first are skipped */
  rsb r4, r4, #0
  and r4, r4, #3
  mov r6, #(sixteen_1 - sixteen_0)
  adr.w r9, sixteen_0
  mla r9, r4, r6, r9
1:orr r9, r9, #1

head:
  ldmia r1, {r0, r2, r12, lr} /* biases */
  ldmia r1!, {r4, r6, r8, r10}
  ldr r7, [sp, #HEAD]
  ldrd r3, r5, [sp, #X]
  add r1, r1, r7
  mov r7, r11
  bx r9
sixteen_0:
  sixteen_columns
sixteen_1:
  sixteen_columns
  sixteen_columns
  sixteen_columns
  subs r7, r7, #1
  bne.w sixteen_0
behind:
  ldr r7, [sp, #LAST]
  cbz r7, 2f
  /* x is filled up with zeros, so what comes after a row's end does not count */
  vldrb.u8 q0, [r3]
  vldrb.u8 q1, [r5]
  vldrb.u8 q2, [r1]
  add r1, r1, r7
  vmladava.s8 r4, q0, q2
  vmladava.s8 r0, q1, q2
  vldrb.u8 q2, [r1]
  add r1, r1, r7
  vmladava.s8 r6, q0, q2
  vmladava.s8 r2, q1, q2
  vldrb.u8 q2, [r1]
  add r1, r1, r7
  vmladava.s8 r8, q0, q2
  vmladava.s8 r12, q1, q2
  vldrb.u8 q2, [r1]
  add r1, r1, r7
  vmladava.s8 r10, q0, q2
  vmladava.s8 lr, q1, q2
2:ldrd r3, r5, [sp, #FACTORS]
  vmov q0[2], q0[0], r4, r8
  vldrw.u32 q2, [r3] /* mantissas */
  vmov q0[3], q0[1], r6, r10
  vldrw.u32 q3, [r3, #16] /* shifts */
  vmov q1[2], q1[0], r0, r12
  add r3, r3, r5
  vmov q1[3], q1[1], r2, lr
  str r3, [sp, #FACTORS]
  vshr.s32 q4, q0, #31
  vqrdmulh.s32 q0, q0, q2
  ldrd r3, r5, [sp, #Y]
  vadd.i32 q0, q0, q4
  vshr.s32 q4, q1, #31
  vrshl.s32 q0, q0, q3
  vqrdmulh.s32 q1, q1, q2
  ldr r7, [sp, #ZERO]
  vadd.i32 q1, q1, q4
  vqmovnb.s32 q0, q0
  vrshl.s32 q1, q1, q3
  vqmovnt.s32 q0, q1
  vqadd.s16 q0, q0, r7
  vmax.s16 q0, q0, q5
  vmin.s16 q0, q0, q6
  vstrb.16 q0, [r3, q7]
  add r3, r3, #4
  subs r5, r5, #1
  strd r3, r5, [sp, #Y]
  bne.w head
  add sp, sp, #FRAME
  vpop {d8-d15}
  pop {r4-r11, pc}
  .size edgeslm_linear_two, . - edgeslm_linear_two
#endif
