/* From sums to int8 on cores with the DSP extension: scaling.h's short way; for assembly files. */

#include "short_plan.h"

/* Of a plan: low and high four times, a byte each; zero = twice the zero point, and one. */
.macro ends_of_bytes plan, low, high, zero
  mov \zero, #0x01010101
  ldrb \low, [\plan, #PLAN_LOW]
  ldrb \high, [\plan, #PLAN_HIGH]
  mul \low, \low, \zero
  mul \high, \high, \zero
  ldr \zero, [\plan, #PLAN_ZERO]
  lsl \zero, \zero, #1
  add \zero, \zero, #1
.endm

/* add = what is added before the shift: half, and the zero point above it. */
.macro short_way add, zero, right
  lsl \add, \zero, \right
  asr \add, \add, #1
.endm

/* value = twice a sum to an int8. */
.macro shortly value, mantissa, right, add, scratch
  add \scratch, \add, \value, asr #31
  smmlar \value, \value, \mantissa, \scratch
  asr \value, \value, \right
  ssat \value, #8, \value
.endm

.macro clamp_bytes four, low, high, scratch
  ssub8 \scratch, \four, \low
  sel \four, \four, \low
  ssub8 \scratch, \high, \four
  sel \four, \four, \high
.endm
