/* A net of static int8 as generated C: one arena, its steps in order, and a few calls. What is here is all that another
 * project needs of it: the generated files, kernels/, this header.
 *
 * The generator writes beside this file, for one .tflite file and one kind of core:
 *   model_config.h     how many inputs, outputs and steps there are; type, extents, scale and zero point of each port
 *   model_schedule.c   the steps: calls of kernels, and where in the arena each value lies
 *   model_weights.h    what the steps read in flash,
 *   model_weights.c    packed for the kernels that read it
 *   model_steps.json   the operator of the file that each step is for
 *
 *   memcpy(edgeslm_net_input(0), samples, EDGESLM_NET_INPUT_0_BYTES);
 *   if (edgeslm_net_run() == EDGESLM_NET_OK) use(edgeslm_net_output(0));
 *
 * Nothing is allocated, and there is no state from run to run. Memory is used again as soon as nobody reads it: write
 * all inputs before each run, and read outputs before the next. It is not for two threads at once.
 */
#ifndef EDGESLM_NET_H
#define EDGESLM_NET_H

#include <stddef.h>
#include <stdint.h>

#include "model_config.h"

enum {
  EDGESLM_NET_OK = 0,
  EDGESLM_NET_NO_SUCH_ID = 1,  /* an id is outside of its table: outputs mean nothing */
  EDGESLM_NET_NO_SUCH_STEP = 2 /* step ≥ EDGESLM_NET_STEPS */
};

/* The file's name. */
extern const char edgeslm_net_name[];

/* Where the numbers of input `index` are to be written, in its type; aligned to 8. NULL where there is no such input. */
void *edgeslm_net_input(uint32_t index);

/* Where those of an output are after a run. NULL where there is no such output. */
const void *edgeslm_net_output(uint32_t index);

/* Their bytes; 0 where there is none. */
uint32_t edgeslm_net_input_bytes(uint32_t index);
uint32_t edgeslm_net_output_bytes(uint32_t index);

/* All steps. Returns EDGESLM_NET_OK, or the first problem: the steps behind it were not done. */
int edgeslm_net_run(void);

/* One step, for a program that has other things to do in between: 0, 1 … EDGESLM_NET_STEPS - 1 are a run. */
int edgeslm_net_step(uint32_t step);

#endif
