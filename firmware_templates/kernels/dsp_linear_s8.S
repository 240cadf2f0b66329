/* edgeslm_linear_one for cores with the DSP extension: 0.97 instructions per product at 256 columns. */
#if EDGESLM_DSP
#define EIGHTS 2
#include "dsp_pairs.h"
#include "dsp_short.h"

#define Y OWN
#define Y_END (OWN + 4)
#define BLOCK (OWN + 8)    /* where this block starts; then the next */
#define HEAD (OWN + 12)    /* bytes of a block's head */
#define FACTORS (OWN + 16) /* of this block */
#define STEP (OWN + 20)    /* words to those of the next */
#define ZERO (OWN + 24)    /* twice the zero point, and one */
#define LOW (OWN + 28)     /* four times, a byte each */
#define HIGH (OWN + 32)
#define FRAME (OWN + 36)

  .section .text.edgeslm_linear_one, "ax", %progbits
  .balign 4
  .global edgeslm_linear_one
  .type edgeslm_linear_one, %function
  .thumb_func
/* r0: y, r1: matrix, r2: x, r3: rows; on the stack: an edgeslm_linear_plan. */
edgeslm_linear_one:
  push {r4-r11, lr}
  sub sp, sp, #FRAME
  add r3, r0, r3
  strd r0, r3, [sp, #Y]
  ldr r9, [sp, #(FRAME + 36)]
  ldr r4, [r9, #PLAN_HEAD]
  strd r1, r4, [sp, #BLOCK]
  ldrd r4, r5, [r9]
  strd r4, r5, [sp, #FACTORS]
  ldr r4, [r9, #PLAN_CORRECTIONS]
  str r4, [sp, #CORRECTION]
  ends_of_bytes r9, r6, r7, r4
  strd r6, r7, [sp, #LOW]
  str r4, [sp, #ZERO]
  ldr r5, [r9, #PLAN_COLUMNS]
  prepare tail, long_tail
head:
  ldrd lr, r4, [sp, #BLOCK]
  add lr, lr, r4
  start_sums

  sum_columns

#if LONG_ROWS
long_tail:
  add_odd_sums
  mov r8, r4
  mov r9, r5
  ldr r12, [sp, #BLOCK]
  ldmia r12, {r4-r7}
  add r5, r5, r8, lsl #1
  add r7, r7, r9, lsl #1
  b 1f
#endif
tail:
  ldr r12, [sp, #BLOCK]
  sub r0, r0, r1
  sub r2, r2, r3
  ldmia r12, {r4-r7} /* twice the biases */
  add r5, r5, r0, asr #7
  add r7, r7, r2, asr #7
1:str lr, [sp, #BLOCK]
  add r4, r4, r1, lsl #1
  add r6, r6, r3, lsl #1
  ldrd r12, r0, [sp, #FACTORS]
  add r0, r12, r0, lsl #2
  str r0, [sp, #FACTORS]
  ldmia r12!, {r8-r11}
  ldmia r12, {r0-r3}
  ldr r12, [sp, #ZERO]
.macro requantize value, mantissa, right
  short_way lr, r12, \right
  shortly \value, \mantissa, \right, lr, lr
.endm
  requantize r4, r8, r0
  requantize r5, r9, r1
  requantize r6, r10, r2
  requantize r7, r11, r3
  bfi r4, r5, #8, #8
  bfi r4, r6, #16, #8
  bfi r4, r7, #24, #8
  ldrd r5, r6, [sp, #LOW]
  clamp_bytes r4, r5, r6, r7
  ldrd r0, r1, [sp, #Y]
  str r4, [r0], #4
  str r0, [sp, #Y]
  cmp r0, r1
  bne.w head
  add sp, sp, #FRAME
  pop {r4-r11, pc}
  .size edgeslm_linear_one, . - edgeslm_linear_one
#endif
