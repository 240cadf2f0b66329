/* edgeslm_gemv_i4_blocks for cores with Helium.
 *
 * A byte of weights holds a column of two rows: one + 8 in the low nibble, the other signed in the high one. The sum of
 * whole bytes less that of low nibbles is 16 times the second row's. Sums start with what + 8 adds.
 */
#if EDGESLM_MVE
  .syntax unified
  .thumb

/* On the stack, from its top. */
#define X 0      /* two words: x, where sums of its groups start */
#define GROUPS 8
#define Y_END 12
#define MODE 16
#define BIAS 20  /* where this block's biases are */
#define FRAME 24

  .section .text.edgeslm_gemv_i4_blocks, "ax", %progbits
  .balign 4
  .global edgeslm_gemv_i4_blocks
  .type edgeslm_gemv_i4_blocks, %function
  .thumb_func
/* r0: y, r1: matrix, r2: x, r3: rows; on the stack: columns, group, mode.
 * r4, r6, r8, r10: sums; r2: sums of x; r3: x; r5: weights of rows 2 and 3; r7: group; r9: groups left; r11: scale of x;
 * lr: parts of 16 columns; q3: totals; q4: 15 everywhere. */
edgeslm_gemv_i4_blocks:
  push {r4-r11, lr}
  vpush {d8-d9}
  sub sp, sp, #FRAME
  add r3, r0, r3, lsl #2
  str r3, [sp, #Y_END]
  add r6, sp, #(FRAME + 52)
  ldm r6, {r4, r7, r8} /* columns, group, mode */
  str r8, [sp, #MODE]
  ldr r11, [r2], #8
  add r4, r4, r7
  sub r4, r4, #1
  udiv r4, r4, r7
  str r4, [sp, #GROUPS]
  mla r5, r4, r7, r2
  strd r2, r5, [sp, #X]
  vmov.i8 q4, #15
block:
  str r1, [sp, #BIAS]
  ldr r4, [sp, #MODE]
  tst r4, #1
  it ne
  addne r1, r1, #16
  mov r4, #0x80000000 /* -0, to which any number can be added without a change */
  vdup.32 q3, r4
  ldrd r3, r2, [sp, #X]
  ldr r9, [sp, #GROUPS]
group:
  ldr r4, [r2], #4
  neg r4, r4
  lsl r4, r4, #3
  mov r6, r4
  mov r8, r4
  mov r10, r4
  add r12, r1, #8
  add r5, r12, r7
  lsr lr, r7, #4
  dls lr, lr
sixteen:
  vldrb.u8 q0, [r3], #16
  vldrb.u8 q1, [r12], #16
  vmladava.s8 r6, q0, q1
  vand q1, q1, q4
  vldrb.u8 q2, [r5], #16
  vmladava.s8 r4, q0, q1
  vmladava.s8 r10, q0, q2
  vand q2, q2, q4
  vmladava.s8 r8, q0, q2
  le lr, sixteen
  vldrh.u32 q1, [r1] /* scales */
  mov r1, r5
  sub r6, r6, r4
  sub r10, r10, r8
  asr r6, r6, #4
  asr r10, r10, #4
  vmov q0[2], q0[0], r4, r8
  vmov q0[3], q0[1], r6, r10
  .inst.w 0xfe3f2e03 /* vcvtb.f32.f16 q1, q1, which binutils 2.40 assembles as that of q2 */
  vcvt.f32.s32 q0, q0
  vmul.f32 q0, q0, q1
  vadd.f32 q3, q3, q0
  subs r9, r9, #1
  bne group
  vmul.f32 q0, q3, r11
  ldr r4, [sp, #MODE]
  tst r4, #1
  beq 1f
  ldr r5, [sp, #BIAS]
  vldrw.u32 q1, [r5]
  vadd.f32 q0, q0, q1
1:tst r4, #2
  beq 2f
  vldrw.u32 q1, [r0]
  vadd.f32 q0, q1, q0
2:vstrw.32 q0, [r0], #16
  ldr r4, [sp, #Y_END]
  cmp r0, r4
  bne block
  add sp, sp, #FRAME
  vpop {d8-d9}
  pop {r4-r11, pc}
  .size edgeslm_gemv_i4_blocks, . - edgeslm_gemv_i4_blocks
#endif
