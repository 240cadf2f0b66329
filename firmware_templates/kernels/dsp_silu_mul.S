/* edgeslm_silu_mul for cores with an FPU: y = gate / (1 + 2^(gate * -log2(e))) * up. */
#if EDGESLM_DSP
#include "dsp_exp2.h"

  .section .text.edgeslm_silu_mul, "ax", %progbits
  .balign 4
  .global edgeslm_silu_mul
  .type edgeslm_silu_mul, %function
  .thumb_func
/* r0: y, r1: gate, r2: up, r3: n. s8: -log2(e), r8: up, r12: left. */
edgeslm_silu_mul:
  push {r4-r8, lr}
  mov r8, r2
  mov r12, r3
  bl edgeslm_exp2_begin
  ldr r4, =0xbfb8aa3b
  vmov s8, r4
  subs r12, r12, #2
  blo last
two:
  vldmia r1!, {s12-s13}
  vmul.f32 s14, s12, s8
  vmul.f32 s15, s13, s8
  bl edgeslm_exp2_two
  vadd.f32 s14, s4, s14
  vadd.f32 s15, s4, s15
  vdiv.f32 s12, s12, s14
  vdiv.f32 s13, s13, s15
  vldmia r8!, {s14-s15}
  vmul.f32 s12, s12, s14
  vmul.f32 s13, s13, s15
  vstmia r0!, {s12-s13}
  subs r12, r12, #2
  bhs two
last:
#if !defined(EDGESLM_FOURS) || !EDGESLM_FOURS
  adds r12, r12, #2
  beq done
  vldmia r1!, {s12}
  vmul.f32 s14, s12, s8
  bl edgeslm_exp2_two
  vadd.f32 s14, s4, s14
  vdiv.f32 s12, s12, s14
  vldmia r8!, {s14}
  vmul.f32 s12, s12, s14
  vstmia r0!, {s12}
done:
#endif
  pop {r4-r8, pc}
  .ltorg
  .size edgeslm_silu_mul, . - edgeslm_silu_mul
#endif
