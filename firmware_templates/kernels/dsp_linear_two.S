/* edgeslm_linear_two for cores with the DSP extension: 0.92 instructions per product at 256 columns, 1.1 at 64,
 * what is around it included.
 *
 * Two rows of the matrix at a time, packed as dsp_pairs.h says, by two rows of x.
 *
 * r0, r1  sums with the first row of x, raw and of low bytes      r2, r3  with the second
 * r4-r7   four columns of x: the first row, the second            r8-r11  eight columns of weights
 * r12     x                                                       lr      the matrix
 */
#if EDGESLM_DSP
#include "dsp_short.h"
  .syntax unified
  .thumb

#define X 0
#define START 4      /* into the loop, or behind it */
#define X_STOP 8     /* where the loop stops in x */
#define REST 12      /* whether four more columns follow */
#define SUMS 16      /* what the sums with both rows start with */
#define Y 24
#define Y_STEP 28
#define PAIR 32      /* 0, or 8 for the block's second pair of rows */
#define WEIGHTS 36   /* of this pair */
#define BLOCK 40
#define BYTES 44     /* of a block */
#define FACTORS 48
#define STEP 52
#define HEAD 56
#define ZERO 60
#define LOW 64
#define HIGH 68
#define LEFT 72      /* blocks */
#define FRAME 76
#define EIGHTS 2     /* in the loop, a power of two */

/* Two columns of two rows of the matrix by two rows of x. */
.macro two_columns weights, x, x_next
  smlad r0, \weights, \x, r0
  smlad r2, \weights, \x_next, r2
  uxtb16 \weights, \weights
  smlad r1, \weights, \x, r1
  smlad r3, \weights, \x_next, r3
.endm

/* 32 products in 24 instructions. */
.macro eight_columns
  ldmia lr!, {r8-r11}
  ldmia r12!, {r4-r7}
  add lr, lr, #16 /* those of the other pair */
  two_columns r8, r4, r6
  two_columns r9, r5, r7
  ldmia r12!, {r4-r7}
  two_columns r10, r4, r6
  two_columns r11, r5, r7
.endm

  .section .text.edgeslm_linear_two, "ax", %progbits
  .balign 4
  .global edgeslm_linear_two
  .type edgeslm_linear_two, %function
  .thumb_func
/* r0: y, r1: matrix, r2: x, r3: rows; on the stack: an edgeslm_linear_plan. */
edgeslm_linear_two:
  push {r4-r11, lr}
  sub sp, sp, #FRAME
  ldr r9, [sp, #(FRAME + 36)]
  ldr r4, [r9, #PLAN_Y_STEP]
  strd r0, r4, [sp, #Y]
  lsr r3, r3, #2
  str r3, [sp, #LEFT]
  ldrd r4, r5, [r9, #PLAN_HEAD] /* and bytes of a block */
  str r4, [sp, #HEAD]
  strd r1, r5, [sp, #BLOCK]
  add lr, r1, r4
  mov r4, #0
  strd r4, lr, [sp, #PAIR]
  ldrd r4, r5, [r9]
  strd r4, r5, [sp, #FACTORS]
  ldrd r4, r5, [r9, #PLAN_CORRECTIONS]
  strd r4, r5, [sp, #SUMS]
  ends_of_bytes r9, r6, r7, r4
  strd r6, r7, [sp, #LOW]
  str r4, [sp, #ZERO]
  ldr r5, [r9, #PLAN_COLUMNS]
  add r5, r5, #3
  and r4, r5, #4
  lsrs r5, r5, #3
  add r6, r2, r5, lsl #5
  strd r6, r4, [sp, #X_STOP]
  adr.w r8, behind
  beq 1f
  /* those of the loop's eights that are too many at first are skipped */
  rsb r7, r5, #0
  and r7, r7, #(EIGHTS - 1)
  mov r4, #(eight_1 - eight_0)
  adr.w r8, eight_0
  mla r8, r7, r4, r8
1:orr r8, r8, #1
  strd r2, r8, [sp, #X]

pair:
  ldrd r12, r4, [sp, #X]
  ldrd r0, r2, [sp, #SUMS]
  mov r1, r0
  mov r3, r2
  bx r4
eight_0:
  eight_columns
eight_1:
  .rept EIGHTS - 1
  eight_columns
  .endr
  ldr r4, [sp, #X_STOP]
  cmp r12, r4
  bne.w eight_0
behind:
  ldrd r10, lr, [sp, #PAIR]
  ldr r4, [sp, #REST]
  cbz r4, 2f
  /* the last run has four columns: 8 bytes for each pair */
  ldr r5, [sp, #X_STOP]
  ldr r4, [sp, #X]
  sub r5, r5, r4
  add r5, r5, lr
  sub r5, r5, r10
  ldrd r8, r9, [r5]
  ldmia r12!, {r4-r7}
  two_columns r8, r4, r6
  two_columns r9, r5, r7
2:ldr r12, [sp, #BLOCK]
  add r12, r12, r10
  ldrd r4, r5, [r12] /* twice the biases */
  ldr r12, [sp, #FACTORS]
  add r12, r12, r10
  ldrd r6, r7, [r12]
  ldrd r8, r9, [r12, #16]
  sub r0, r0, r1
  sub r2, r2, r3
  ldr r10, [sp, #ZERO]
  add r1, r4, r1, lsl #1
  add r3, r4, r3, lsl #1
  add r0, r5, r0, asr #7
  add r2, r5, r2, asr #7
  short_way r11, r10, r8
  shortly r1, r6, r8, r11, r12
  shortly r3, r6, r8, r11, r12
  short_way r11, r10, r9
  shortly r0, r7, r9, r11, r12
  shortly r2, r7, r9, r11, r12
  bfi r1, r0, #8, #8
  bfi r1, r3, #16, #8
  bfi r1, r2, #24, #8
  ldrd r4, r5, [sp, #LOW]
  clamp_bytes r1, r4, r5, r6
  ldrd r4, r5, [sp, #Y]
  strh r1, [r4]
  lsr r1, r1, #16
  strh r1, [r4, r5]
  add r4, r4, #2
  str r4, [sp, #Y]
  ldr r4, [sp, #PAIR]
  eors r4, r4, #8
  add lr, lr, #16
  strd r4, lr, [sp, #PAIR]
  bne.w pair
  /* the next block */
  ldrd r0, r1, [sp, #BLOCK]
  add r0, r0, r1
  str r0, [sp, #BLOCK]
  ldr r1, [sp, #HEAD]
  add lr, r0, r1
  str lr, [sp, #WEIGHTS]
  ldrd r0, r1, [sp, #FACTORS]
  add r0, r0, r1, lsl #2
  str r0, [sp, #FACTORS]
  ldr r0, [sp, #LEFT]
  subs r0, r0, #1
  str r0, [sp, #LEFT]
  bne.w pair
  add sp, sp, #FRAME
  pop {r4-r11, pc}
  .size edgeslm_linear_two, . - edgeslm_linear_two
#endif
