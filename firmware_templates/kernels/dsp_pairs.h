/* The inner loop of int8 matrices on cores with the DSP extension; for assembly files.
 *
 * A word of weights holds two columns of two rows, in each halfword 256 * odd + (even + 128). SMLAD of the raw word
 * and SMLAD of its low bytes (UXTB16) give both rows' sums: odd is their difference / 256, even the second less 128
 * times the sum of x. This is exact while the odd row's sum stays within 23 bits, so there is a stop at 512 columns.
 *
 * r0, r1  sums of rows 0 and 1, raw and of low bytes      r2, r3  of rows 2 and 3
 * r4-r7   eight columns of x                              r8-r11  weights
 * r12     x                                               lr      the matrix
 */

/* Eights of columns in the loop, a power of two: more are faster, and take more flash. */
#ifndef EIGHTS
#define EIGHTS 4
#endif

/* Whether there may be more columns than that. */
#if !defined(EDGESLM_LONGEST) || EDGESLM_LONGEST > 512
#define LONG_ROWS 1
#else
#define LONG_ROWS 0
#endif
  .syntax unified
  .thumb

/* Two columns of two rows. */
.macro pair raw, low, weights, x
  smlad \raw, \weights, \x, \raw
  uxtb16 \weights, \weights
  smlad \low, \weights, \x, \low
.endm

/* 32 products in 27 instructions. */
.macro eight_columns
  ldmia r12!, {r4-r7}
  ldmia lr!, {r8-r11}
  pair r0, r1, r8, r4
  pair r0, r1, r9, r5
  pair r0, r1, r10, r6
  pair r0, r1, r11, r7
  ldmia lr!, {r8-r11}
  pair r2, r3, r8, r4
  pair r2, r3, r9, r5
  pair r2, r3, r10, r6
  pair r2, r3, r11, r7
.endm

.macro four_columns
  ldmia r12!, {r4-r5}
  ldmia lr!, {r8-r11}
  pair r0, r1, r8, r4
  pair r0, r1, r9, r5
  pair r2, r3, r10, r4
  pair r2, r3, r11, r5
.endm

/* What both kernels keep on the stack, from its top. Addresses of code have bit 0 set, as branches want. */
#define X_START 0      /* the first column of x */
#define CORRECTION 4   /* what sums of low bytes start with: -128 * sum of x */
#define START 8        /* where a block starts: within the loop, or at long_start */
#define X_STOP 12      /* where the loop stops in x */
#define AFTER_LOOP 16  /* where it goes on: last_columns, tail or long_stop */
#define TAIL 20        /* after the last columns */
#define ODD_SUMS 24    /* two words: of rows 1 and 3, from columns before the last stop */
#define X_FIRST_STOP 32
#define X_LAST_STOP 36
#define LONG_ENTRY 40  /* within the loop, for the first stop */
#define AFTER_STOPS 44 /* last_columns or tail */
#define OWN 48         /* what a kernel adds */

/* Put code's address on the stack. */
.macro keep_address label, place, scratch
  adr.w \scratch, \label
  orr \scratch, \scratch, #1
  str \scratch, [sp, #\place]
.endm

/* Fill the frame. r2: x; r5: columns; `tail` and `long_tail`: where sums are used. Changes r4-r8. */
.macro prepare tail, long_tail
  str r2, [sp, #X_START]
  add r5, r5, #3
  lsr r6, r5, #3             /* eights of columns */
  keep_address \tail, AFTER_LOOP, r8
  str r8, [sp, #TAIL]
  tst r5, #4
  beq 1f
  keep_address last_columns, AFTER_LOOP, r8
1:
#if LONG_ROWS
  cmp r6, #64
  bhi 2f
#endif
  /* one stop */
  add r7, r2, r6, lsl #4
  str r7, [sp, #X_STOP]
  ldr r8, [sp, #AFTER_LOOP]
  cbz r6, 4f
#if LONG_ROWS
  b 3f
2:/* the first stop leaves a multiple of 512 columns */
  add r7, r2, r6, lsl #4
  str r7, [sp, #X_LAST_STOP]
  sub r6, r6, #1
  and r6, r6, #63
  add r6, r6, #1
  add r7, r2, r6, lsl #4
  str r7, [sp, #X_FIRST_STOP]
  keep_address \long_tail, TAIL, r8
  tst r5, #4
  it ne
  ldrne r8, [sp, #AFTER_LOOP]
  str r8, [sp, #AFTER_STOPS]
  keep_address long_stop, AFTER_LOOP, r8
3:
#endif
  /* those of the loop's eights that are too many at first are skipped */
  rsb r7, r6, #0
  and r7, r7, #(EIGHTS - 1)
  mov r4, #(eight_1 - eight_0)
  adr.w r8, eight_0
  mla r8, r7, r4, r8
  orr r8, r8, #1
#if LONG_ROWS
  ldr r7, [sp, #AFTER_LOOP]
  adr.w r4, long_stop
  orr r4, r4, #1
  cmp r7, r4
  bne 4f
  str r8, [sp, #LONG_ENTRY]
  adr.w r8, long_start
  orr r8, r8, #1
#endif
4:str r8, [sp, #START]
.endm

/* Begin a block: its head has been read. */
.macro start_sums
  ldrd r12, r0, [sp, #X_START]
  mov r1, r0
  mov r2, r0
  mov r3, r0
  ldr pc, [sp, #START]
.endm

/* The loop, and all that is next to it. */
.macro sum_columns
eight_0:
  eight_columns
eight_1:
  .rept EIGHTS - 1
  eight_columns
  .endr
  ldr r4, [sp, #X_STOP]
  cmp r12, r4
  bne.w eight_0
  ldr pc, [sp, #AFTER_LOOP]

last_columns:
  four_columns
  ldr pc, [sp, #TAIL]

#if LONG_ROWS
long_start:
  mov r4, #0
  strd r4, r4, [sp, #ODD_SUMS]
  ldr r4, [sp, #X_FIRST_STOP]
  str r4, [sp, #X_STOP]
  ldr pc, [sp, #LONG_ENTRY]

long_stop:
  add_odd_sums
  strd r4, r5, [sp, #ODD_SUMS]
  mov r0, r1
  mov r2, r3
  ldr r4, [sp, #X_STOP]
  ldr r5, [sp, #X_LAST_STOP]
  cmp r4, r5
  itt eq
  ldreq r4, [sp, #AFTER_STOPS]
  bxeq r4
  add r4, r4, #1024
  str r4, [sp, #X_STOP]
  b.w eight_0
#endif
.endm

/* r4, r5 = all of the sums of rows 1 and 3. */
.macro add_odd_sums
  sub r0, r0, r1
  sub r2, r2, r3
  ldrd r4, r5, [sp, #ODD_SUMS]
  add r4, r4, r0, asr #8
  add r5, r5, r2, asr #8
.endm
