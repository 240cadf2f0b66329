/* What dsp_exp2.S takes and keeps; for assembly files. Both are called by bl.
 *
 * edgeslm_exp2_begin  s1 … s4: constants, s4 is 1.0; r2: the table; r3: bits of 393216.0. Nothing else changes.
 * edgeslm_exp2_two    s14, s15 = edgeslm_exp2 of s14, s15, after the above. Changes s5-s7 and r4-r7.
 */
  .syntax unified
  .thumb
