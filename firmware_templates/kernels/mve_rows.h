/* The inner loop of int8 matrices on cores with Helium; for assembly files.
 *
 * r4, r6, r8, r10  sums of four rows     r1  the matrix     r2  x     r3  x as it goes
 * q0  x     q1, q2  weights     lr  count of the loop     r9  its start     q3 is left alone
 * Loads and products alternate, so that they overlap in the pipeline.
 */
  .syntax unified
  .thumb

/* 64 products in 9 instructions. */
.macro sixteen_columns
  vldrb.u8 q0, [r3], #16
  vldrb.u8 q1, [r1], #16
  vldrb.u8 q2, [r1], #16
  vmladava.s8 r4, q0, q1
  vldrb.u8 q1, [r1], #16
  vmladava.s8 r6, q0, q2
  vldrb.u8 q2, [r1], #16
  vmladava.s8 r8, q0, q1
  vmladava.s8 r10, q0, q2
.endm

/* On the stack, from its top. Addresses of code have bit 0 set, as branches want. */
#define ENTRY 0      /* into the loop, or behind it */
#define AFTER_LOOP 4 /* last_columns or sums_ready */
#define LAST 8       /* columns beyond a multiple of 16 */
#define OWN 12       /* what a kernel adds */

/* Put code's address on the stack. */
.macro keep_address label, place, scratch
  adr.w \scratch, \label
  orr \scratch, \scratch, #1
  str \scratch, [sp, #\place]
.endm

/* Fill the frame, and r9. r4: columns. Changes r6, r8, r10. */
.macro prepare
  keep_address sums_ready, AFTER_LOOP, r8
  ands r6, r4, #15
  str r6, [sp, #LAST]
  beq 1f
  keep_address last_columns, AFTER_LOOP, r8
1:lsrs r4, r4, #4            /* sixteens; r8 is where to go if there are none */
  add r9, r4, #3
  lsr r9, r9, #2
  beq 2f
  /* the loop has four sixteens: those that are too many at first are skipped */
  rsb r4, r4, #0
  and r4, r4, #3
  mov r6, #(sixteen_1 - sixteen_0)
  adr.w r8, sixteen_0
  mla r8, r4, r6, r8
  orr r8, r8, #1
2:str r8, [sp, #ENTRY]
.endm

/* The sums of a block are being prepared: its head has been read, r4, r6, r8 and r10 are set. */
.macro sum_columns
  mov r3, r2
  dls lr, r9
  ldr pc, [sp, #ENTRY]
sixteen_0:
  sixteen_columns
sixteen_1:
  sixteen_columns
  sixteen_columns
  sixteen_columns
  le lr, sixteen_0
  ldr pc, [sp, #AFTER_LOOP]

/* x is filled up with zeros, so what comes after a row's end does not count */
last_columns:
  vldrb.u8 q0, [r3]
  ldr r3, [sp, #LAST]
  vldrb.u8 q1, [r1]
  add r1, r1, r3
  vmladava.s8 r4, q0, q1
  vldrb.u8 q1, [r1]
  add r1, r1, r3
  vmladava.s8 r6, q0, q1
  vldrb.u8 q1, [r1]
  add r1, r1, r3
  vmladava.s8 r8, q0, q1
  vldrb.u8 q1, [r1]
  add r1, r1, r3
  vmladava.s8 r10, q0, q1

sums_ready:
  vmov q0[2], q0[0], r4, r8
  vmov q0[3], q0[1], r6, r10
.endm
