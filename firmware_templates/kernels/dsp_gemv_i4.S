/* edgeslm_gemv_i4_blocks for cores with the DSP extension and an FPU.
 *
 * A halfword of weights holds a column of four rows: three nibbles + 8, the fourth signed on top. SMLAD of the whole
 * word, of its low bytes, of its low nibbles of bytes, and of its lowest nibbles gives four sums, of which differences
 * are the rows' sums times 4096, 16, 256 and 1. Sums start with what + 8 adds, from the sum of x in a group.
 */
#if EDGESLM_DSP
  .syntax unified
  .thumb

/* On the stack, from its top. */
#define SUMS 0     /* of x, in the next group */
#define SUMS_END 4
#define X 8        /* two words: x, where sums of its groups start */
#define EIGHTS 16  /* of columns in a group */
#define Y 20
#define Y_END 24
#define MODE 28
#define BIAS 32    /* where this block's biases are */
#define FRAME 36

  .section .text.edgeslm_gemv_i4_blocks, "ax", %progbits
  .balign 4
  .global edgeslm_gemv_i4_blocks
  .type edgeslm_gemv_i4_blocks, %function
  .thumb_func
/* r0: y, r1: matrix, r2: x, r3: rows; on the stack: columns, group, mode.
 * r0-r3: sums of row 0, rows 0 and 1, rows 0 and 2, all rows; r4-r7: eight columns of x; r12: x; lr: the matrix;
 * s12-s15: totals; s16: scale of x. */
edgeslm_gemv_i4_blocks:
  push {r4-r11, lr}
  vpush {s16-s17}
  sub sp, sp, #FRAME
  add r3, r0, r3, lsl #2
  strd r0, r3, [sp, #Y]
  mov lr, r1
  add r7, sp, #(FRAME + 44)
  ldm r7, {r4-r6} /* columns, group, mode */
  str r6, [sp, #MODE]
  vldmia r2!, {s16}
  add r2, r2, #4
  add r4, r4, r5
  sub r4, r4, #1
  udiv r4, r4, r5            /* groups */
  mul r7, r4, r5
  add r7, r2, r7, lsl #1     /* their sums */
  strd r2, r7, [sp, #X]
  add r4, r7, r4, lsl #2
  str r4, [sp, #SUMS_END]
  lsr r5, r5, #3
  str r5, [sp, #EIGHTS]
block:
  str lr, [sp, #BIAS]
  ldr r4, [sp, #MODE]
  tst r4, #1
  it ne
  addne lr, lr, #16
  ldr r4, =0x80000000 /* -0, to which any number can be added without a change */
  vmov s12, r4
  vmov.f32 s13, s12
  vmov.f32 s14, s12
  vmov.f32 s15, s12
  ldrd r12, r4, [sp, #X]
group:
  ldr r0, [r4], #4
  str r4, [sp, #SUMS]
  neg r0, r0
  lsl r0, r0, #3
  add r1, r0, r0, lsl #4
  add r2, r0, r0, lsl #8
  add r3, r2, r0, lsl #4
  vldmia lr!, {s4-s5}
  vcvtb.f32.f16 s8, s4
  vcvtt.f32.f16 s9, s4
  vcvtb.f32.f16 s10, s5
  vcvtt.f32.f16 s11, s5
  ldr r11, [sp, #EIGHTS]

/* Two columns of four rows: 8 products in 7 instructions. */
.macro quad weights, x
  smlad r3, \weights, \x, r3
  uxtb16 r10, \weights
  smlad r1, r10, \x, r1
  and r10, \weights, #0x0f0f0f0f
  smlad r2, r10, \x, r2
  and \weights, \weights, #0x000f000f
  smlad r0, \weights, \x, r0
.endm
eight:
  ldmia r12!, {r4-r7}
  ldmia lr!, {r8-r9}
  quad r8, r4
  quad r9, r5
  ldmia lr!, {r8-r9}
  quad r8, r6
  quad r9, r7
  subs r11, r11, #1
  bne eight
  sub r3, r3, r2
  sub r1, r1, r0
  sub r2, r2, r0
  sub r3, r3, r1
  vmov s0, s1, r0, r1
  vmov s2, s3, r2, r3
  vcvt.f32.s32 s0, s0
  vcvt.f32.s32 s1, s1, #4
  vcvt.f32.s32 s2, s2, #8
  vcvt.f32.s32 s3, s3, #12
  vmul.f32 s0, s0, s8
  vmul.f32 s1, s1, s9
  vmul.f32 s2, s2, s10
  vmul.f32 s3, s3, s11
  vadd.f32 s12, s12, s0
  vadd.f32 s13, s13, s1
  vadd.f32 s14, s14, s2
  vadd.f32 s15, s15, s3
  ldrd r4, r5, [sp, #SUMS]
  cmp r4, r5
  bne group
  vmul.f32 s0, s12, s16
  vmul.f32 s1, s13, s16
  vmul.f32 s2, s14, s16
  vmul.f32 s3, s15, s16
  ldr r6, [sp, #MODE]
  ldrd r4, r5, [sp, #Y]
  tst r6, #1
  beq 1f
  ldr r7, [sp, #BIAS]
  vldmia r7, {s4-s7}
  vadd.f32 s0, s0, s4
  vadd.f32 s1, s1, s5
  vadd.f32 s2, s2, s6
  vadd.f32 s3, s3, s7
1:tst r6, #2
  beq 2f
  vldmia r4, {s4-s7}
  vadd.f32 s0, s4, s0
  vadd.f32 s1, s5, s1
  vadd.f32 s2, s6, s2
  vadd.f32 s3, s7, s3
2:vstmia r4!, {s0-s3}
  str r4, [sp, #Y]
  cmp r4, r5
  bne.w block
  add sp, sp, #FRAME
  vpop {s16-s17}
  pop {r4-r11, pc}
  .ltorg
  .size edgeslm_gemv_i4_blocks, . - edgeslm_gemv_i4_blocks
#endif
