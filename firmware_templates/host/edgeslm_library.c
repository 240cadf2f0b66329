/* A model as a shared library of the host: what scores it before it goes to a board.
 *
 * Dropping tiny numbers is the calling thread's mode, and the caller's own arithmetic must not change: each call turns
 * it on and back.
 */
#include <fenv.h>

#include "edgeslm_model.h"

#if EDGESLM_MODEL_ENCODER

/* Read a text; out (rows, outputs): of each token, or of the text alone. */
int edgeslm_host_encode(const uint32_t *ids, uint32_t count, edgeslm_real *out) {
  fenv_t kept;
  fegetenv(&kept);
  edgeslm_flush_denormals();
  int status = edgeslm_encode(&edgeslm_model_state, ids, count);
  uint32_t rows = EDGESLM_MODEL_OUTPUT_ROWS ? count : 1u;
  for (uint32_t t = 0; t < rows && status == EDGESLM_OK; t++)
    status = edgeslm_output(&edgeslm_model_state, t, out + t * EDGESLM_MODEL_OUTPUTS);
  fesetenv(&kept);
  return status;
}

#else

/* Enter `count` tokens from `position` on; logits (vocabulary) of the last one. */
int edgeslm_host_enter(const int32_t *tokens, uint32_t count, uint32_t position, edgeslm_real *logits) {
  fenv_t kept;
  int status = EDGESLM_OK;
  fegetenv(&kept);
  edgeslm_flush_denormals();
  for (uint32_t i = 0; i < count && status == EDGESLM_OK; i++)
    status = edgeslm_step(&edgeslm_model_state, (uint32_t)tokens[i], position + i, i + 1u == count ? logits : NULL);
  fesetenv(&kept);
  return status;
}

#endif
