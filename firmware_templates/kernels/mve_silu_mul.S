/* edgeslm_silu_mul for cores with Helium: y = gate / (1 + 2^(gate * -log2(e))) * up. There is no division of vectors. */
#if EDGESLM_MVE
#include "mve_exp2.h"

  .section .text.edgeslm_silu_mul, "ax", %progbits
  .balign 4
  .global edgeslm_silu_mul
  .type edgeslm_silu_mul, %function
  .thumb_func
/* r0: y, r1: gate, r2: up, r3: n. r9: -log2(e), q3: gate, q7: the greatest step. */
edgeslm_silu_mul:
  push {r4-r9, lr}
  vpush {d8-d15}
  exp2_constants
  ldr r9, =0x48c007ff
  vdup.32 q7, r9
  ldr r9, =0xbfb8aa3b

/* q0 = gate / (1 + 2^q0) */
.macro divide
  exp2_four q7
  vadd.f32 q1, q1, r7
  vdiv.f32 s0, s12, s4
  vdiv.f32 s1, s13, s5
  vdiv.f32 s2, s14, s6
  vdiv.f32 s3, s15, s7
.endm

  lsr r12, r3, #2
  wls lr, r12, last
four:
  vldrw.u32 q3, [r1], #16
  vmul.f32 q0, q3, r9
  divide
  vldrw.u32 q1, [r2], #16
  vmul.f32 q0, q0, q1
  vstrw.32 q0, [r0], #16
  le lr, four
last:
#if !defined(EDGESLM_FOURS) || !EDGESLM_FOURS
  ands r3, r3, #3
  beq done
  vctp.32 r3
  vpst
  vldrwt.u32 q3, [r1]
  vmul.f32 q0, q3, r9
  divide
  vpst
  vldrwt.u32 q1, [r2]
  vmul.f32 q0, q0, q1
  vpst
  vstrwt.32 q0, [r0]
done:
#endif
  vpop {d8-d15}
  pop {r4-r9, pc}
  .ltorg
  .size edgeslm_silu_mul, . - edgeslm_silu_mul
#endif
