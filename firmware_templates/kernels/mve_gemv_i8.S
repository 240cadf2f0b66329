/* edgeslm_gemv_i8_blocks for cores with Helium: 0.16 instructions per product at 64 columns. */
#if EDGESLM_MVE
#include "mve_rows.h"

#define BIAS_BACK OWN /* from a block's end to its biases */
#define FRAME (OWN + 4)

  .section .text.edgeslm_gemv_i8_blocks, "ax", %progbits
  .balign 4
  .global edgeslm_gemv_i8_blocks
  .type edgeslm_gemv_i8_blocks, %function
  .thumb_func
/* r0: y, r1: matrix, r2: x, r3: rows; on the stack: columns, mode.
 * r5: mode, r7: blocks left, r11: scale of x, r12: bytes of biases in a block. */
edgeslm_gemv_i8_blocks:
  push {r4-r11, lr}
  ldrd r4, r5, [sp, #36]
  sub sp, sp, #FRAME
  ldr r11, [r2], #8
  lsr r7, r3, #2
  and r12, r5, #1
  lsl r12, r12, #4
  lsl r6, r4, #2
  add r6, r6, #16
  str r6, [sp, #BIAS_BACK]
  cmp r4, #64
  beq all_of_x
  prepare

head:
  vldrw.u32 q3, [r1], #16 /* scales */
  add r1, r1, r12
  mov r4, #0
  mov r6, #0
  mov r8, #0
  mov r10, #0
  sum_columns
  vcvt.f32.s32 q0, q0
  vmul.f32 q3, q3, r11
  vmul.f32 q0, q0, q3
  cbnz r5, more
store:
  vstrw.32 q0, [r0], #16
  subs r7, r7, #1
  bne head
  b done

/* bias, sum with what is there */
.macro add_more
  lsls r4, r5, #31
  bpl 1f
  ldr r6, [sp, #BIAS_BACK]
  sub r6, r1, r6
  vldrw.u32 q1, [r6]
  vadd.f32 q0, q0, q1
1:cmp r5, #2
  blo 2f
  vldrw.u32 q1, [r0]
  vadd.f32 q0, q1, q0
2:
.endm

more:
  add_more
  b store

/* 64 columns: x stays in registers */
all_of_x:
  vpush {d8-d15}
  sub sp, sp, #FRAME
  str r6, [sp, #BIAS_BACK]
  vldrb.u8 q4, [r2]
  vldrb.u8 q5, [r2, #16]
  vldrb.u8 q6, [r2, #32]
  vldrb.u8 q7, [r2, #48]
  dls lr, r7

.macro four_rows product, x
  vldrb.u8 q0, [r1], #16
  vldrb.u8 q1, [r1], #16
  \product\().s8 r4, \x, q0
  vldrb.u8 q2, [r1], #16
  \product\().s8 r6, \x, q1
  vldrb.u8 q0, [r1], #16
  \product\().s8 r8, \x, q2
  \product\().s8 r10, \x, q0
.endm

block:
  vldrw.u32 q3, [r1], #16 /* scales */
  add r1, r1, r12
  four_rows vmladav, q4
  four_rows vmladava, q5
  four_rows vmladava, q6
  four_rows vmladava, q7
  vmov q0[2], q0[0], r4, r8
  vmov q0[3], q0[1], r6, r10
  vcvt.f32.s32 q0, q0
  vmul.f32 q3, q3, r11
  vmul.f32 q0, q0, q3
  cbnz r5, block_more
block_store:
  vstrw.32 q0, [r0], #16
  le lr, block
  add sp, sp, #FRAME
  vpop {d8-d15}
done:
  add sp, sp, #FRAME
  pop {r4-r11, pc}

block_more:
  add_more
  b block_store
  .size edgeslm_gemv_i8_blocks, . - edgeslm_gemv_i8_blocks
#endif
