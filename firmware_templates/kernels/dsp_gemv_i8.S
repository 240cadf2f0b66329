/* edgeslm_gemv_i8_blocks for cores with the DSP extension and an FPU: 0.98 instructions per product at 64 columns. */
#if EDGESLM_DSP
#define EIGHTS 2
#include "dsp_pairs.h"

#define Y OWN
#define Y_END (OWN + 4)
#define FINISH (OWN + 8) /* what is done with results */
#define FRAME (OWN + 12)
#if !defined(EDGESLM_BIASES) || EDGESLM_BIASES
#define BIASES 1
#else
#define BIASES 0
#endif

  .section .text.edgeslm_gemv_i8_blocks, "ax", %progbits
  .balign 4
  .global edgeslm_gemv_i8_blocks
  .type edgeslm_gemv_i8_blocks, %function
  .thumb_func
/* r0: y, r1: matrix, r2: x, r3: rows; on the stack: columns, mode. s15: scale of x. */
edgeslm_gemv_i8_blocks:
  push {r4-r11, lr}
  sub sp, sp, #FRAME
  add r3, r0, r3, lsl #2
  strd r0, r3, [sp, #Y]
  mov lr, r1
  vldr s15, [r2]
  ldr r4, [r2, #4]
  add r2, r2, #8
  neg r4, r4
  lsl r4, r4, #7
  str r4, [sp, #CORRECTION]
  ldrd r5, r9, [sp, #(FRAME + 36)]
  prepare tail, long_tail
  /* what `mode` asks for */
  keep_address finish_plain, FINISH, r4
  lsls r9, r9, #31
  bcc 1f
  keep_address finish_accumulate, FINISH, r4
#if BIASES
  bpl head
  keep_address finish_both, FINISH, r4
1:bpl head
  bcs head_bias
  keep_address finish_bias, FINISH, r4
head_bias:
  vldmia lr!, {s4-s7}
  vldmia lr!, {s8-s11}
  start_sums
#else
1:
#endif
head:
  vldmia lr!, {s4-s7} /* scales */
  start_sums

  sum_columns

#if LONG_ROWS
long_tail:
  add_odd_sums
  vmov s0, s1, r1, r4
  vmov s2, s3, r3, r5
  vcvt.f32.s32 s1, s1
  vcvt.f32.s32 s3, s3
  b 2f
#endif
tail:
  sub r0, r0, r1
  sub r2, r2, r3
  vmov s0, s1, r1, r0
  vmov s2, s3, r3, r2
  vcvt.f32.s32 s1, s1, #8 /* / 256 */
  vcvt.f32.s32 s3, s3, #8
2:vcvt.f32.s32 s0, s0
  vcvt.f32.s32 s2, s2
  vmul.f32 s4, s4, s15
  vmul.f32 s5, s5, s15
  vmul.f32 s6, s6, s15
  vmul.f32 s7, s7, s15
  vmul.f32 s0, s0, s4
  vmul.f32 s1, s1, s5
  vmul.f32 s2, s2, s6
  vmul.f32 s3, s3, s7
  ldrd r4, r5, [sp, #Y]
  ldr pc, [sp, #FINISH]

.macro add_four a, b, c, d
  vadd.f32 s0, \a, s0
  vadd.f32 s1, \b, s1
  vadd.f32 s2, \c, s2
  vadd.f32 s3, \d, s3
.endm

finish_accumulate:
  vldmia r4, {s4-s7}
  add_four s4, s5, s6, s7
finish_plain:
  vstmia r4!, {s0-s3}
  str r4, [sp, #Y]
  cmp r4, r5
  bne.w head
#if BIASES
  b done
#endif

#if BIASES
finish_bias:
  add_four s8, s9, s10, s11
  b 3f
finish_both:
  add_four s8, s9, s10, s11
  vldmia r4, {s4-s7}
  add_four s4, s5, s6, s7
3:vstmia r4!, {s0-s3}
  str r4, [sp, #Y]
  cmp r4, r5
  bne.w head_bias
done:
#endif

  add sp, sp, #FRAME
  pop {r4-r11, pc}
  .size edgeslm_gemv_i8_blocks, . - edgeslm_gemv_i8_blocks
#endif
