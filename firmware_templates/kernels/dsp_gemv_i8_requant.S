/* edgeslm_gemv_i8_requant_blocks for cores with the DSP extension: 0.93 instructions per product at 256 columns. */
#if EDGESLM_DSP
#include "dsp_pairs.h"

#define Y OWN
#define Y_END (OWN + 4)
#define BLOCK (OWN + 8)   /* where this block starts */
#define ZERO (OWN + 12)   /* zero point */
#define LOW (OWN + 16)    /* four times, a byte each */
#define HIGH (OWN + 20)
#define FRAME (OWN + 24)

  .section .text.edgeslm_gemv_i8_requant_blocks, "ax", %progbits
  .balign 4
  .global edgeslm_gemv_i8_requant_blocks
  .type edgeslm_gemv_i8_requant_blocks, %function
  .thumb_func
/* r0: y, r1: matrix, r2: x, r3: rows; on the stack: columns, an edgeslm_requant. */
edgeslm_gemv_i8_requant_blocks:
  push {r4-r11, lr}
  sub sp, sp, #FRAME
  add r3, r0, r3
  strd r0, r3, [sp, #Y]
  mov lr, r1
  ldrd r5, r9, [sp, #(FRAME + 36)]
  ldm r9, {r6-r9} /* zero point, low, high, sum of x */
  mov r4, #0x01010101
  uxtb r7, r7
  mul r7, r7, r4
  uxtb r8, r8
  mul r8, r8, r4
  str r6, [sp, #ZERO]
  strd r7, r8, [sp, #LOW]
  neg r9, r9
  lsl r9, r9, #7
  str r9, [sp, #CORRECTION]
  prepare tail, long_tail
head:
  str lr, [sp, #BLOCK]
  add lr, lr, #48 /* biases, multipliers, shifts */
  start_sums

  sum_columns

#if LONG_ROWS
long_tail:
  add_odd_sums
  mov r8, r4
  mov r9, r5
  ldr r12, [sp, #BLOCK]
  ldmia r12!, {r4-r7}
  add r5, r5, r8
  add r7, r7, r9
  b 1f
#endif
tail:
  sub r0, r0, r1
  sub r2, r2, r3
  ldr r12, [sp, #BLOCK]
  ldmia r12!, {r4-r7} /* biases */
  add r5, r5, r0, asr #8
  add r7, r7, r2, asr #8
1:add r4, r4, r1
  add r6, r6, r3
  ldmia r12!, {r8-r11}
  ldmia r12, {r0-r3}
  ldr r12, [sp, #ZERO]

/* SMMULR gives the upper word, rounded. The second rounding is that of ASRS's last bit, which goes into the carry;
 * a negative number is made one less before, unless nothing is shifted. */
.macro requantize value, multiplier, shift
  lsl \value, \value, \shift
  smmulr \value, \value, \multiplier
  and \multiplier, \value, \shift
  add \value, \value, \multiplier, asr #31
  lsrs \shift, \shift, #8 /* and no carry, if the next shift is by 0 */
  asrs \value, \value, \shift
  adc \value, \value, r12
  ssat \value, #8, \value
.endm
  requantize r4, r8, r0
  requantize r5, r9, r1
  requantize r6, r10, r2
  requantize r7, r11, r3
  bfi r4, r5, #8, #8
  bfi r4, r6, #16, #8
  bfi r4, r7, #24, #8
  ldrd r5, r6, [sp, #LOW]
  ssub8 r7, r4, r5
  sel r4, r4, r5
  ssub8 r7, r6, r4
  sel r4, r4, r6
  ldrd r0, r1, [sp, #Y]
  str r4, [r0], #4
  str r0, [sp, #Y]
  cmp r0, r1
  bne.w head
  add sp, sp, #FRAME
  pop {r4-r11, pc}
  .size edgeslm_gemv_i8_requant_blocks, . - edgeslm_gemv_i8_requant_blocks
#endif
