/* edgeslm_exp2 of four numbers, with Helium; for assembly files.
 * r4-r7: constants; r8: the table; q4: the least step; q5: 31 everywhere. Changes q1, q2 and q6. */
  .syntax unified
  .thumb

.macro exp2_constants
  ldr r4, =0x48bff800 /* 393216.0, less 2048 steps */
  vdup.32 q4, r4
  mov r4, #31
  vdup.32 q5, r4
  ldr r4, =0x48c00000
  ldr r5, =0x3e75fdf0
  ldr r6, =0x3f3172c2
  ldr r7, =0x3f800000
  ldr r8, =edgeslm_exp2_table
.endm

/* q1 = 2^q0; q0 is changed. `most`, if given, limits the steps from above. */
.macro exp2_four most
  vadd.f32 q1, q0, r4
  vsub.f32 q2, q1, r4
  vmax.s32 q1, q1, q4
.ifnb \most
  vmin.s32 q1, q1, \most
.endif
  vsub.f32 q0, q0, q2
  vand q6, q1, q5
  vmul.f32 q2, q0, r5
  vshl.i32 q1, q1, #18
  vadd.f32 q2, q2, r6
  vmul.f32 q2, q2, q0
  vldrw.u32 q0, [r8, q6, uxtw #2]
  vadd.f32 q2, q2, r7
  vadd.i32 q1, q1, q0
  vmul.f32 q1, q1, q2
.endm
