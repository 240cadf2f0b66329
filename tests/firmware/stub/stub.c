/* A model that is none: tokens are bytes. Next to token t is (5 t + the sum of all tokens entered + 3) modulo 64; 0 ends.
 * Tokens that a prompt alone can have make it fail on boards: '~' faults, '}' never comes back. */
#include "edgeslm_model.h"

const edgeslm_config edgeslm_model_config = {
    .name = "stub", .scheme = "fp32", .vocabulary = 256u, .width = 1u, .layers = 2u, .heads = 1u, .kv_heads = 1u,
    .head_dim = 1u, .feed_forward = 1u, .context = 48u, .bos = 1u, .add_bos = 1u, .eos_count = 1u, .eos = {0u},
};
edgeslm_state edgeslm_model_state;

edgeslm_real *edgeslm_logits(edgeslm_state *state) { return (edgeslm_real *)(void *)state->arena; }

static void fail(uint32_t token) {
  volatile uint32_t forever = 1;
  if (token == '~') *(volatile uint32_t *)(uintptr_t)0xfffffff0u = 0; /* nothing is there */
  while (token == '}' && forever) {
  }
}

int edgeslm_step(edgeslm_state *state, uint32_t token, uint32_t position, edgeslm_real *logits) {
  uint32_t *entered = (uint32_t *)(void *)state->values[0], sum = 0;
  if (token >= 256u) return EDGESLM_NO_SUCH_TOKEN;
  if (position >= EDGESLM_MODEL_CONTEXT) return EDGESLM_CONTEXT_FULL;
  fail(token);
  entered[position] = token;
  if (state->mark) state->mark(0);
  for (uint32_t i = 0; i <= position; i++) sum += entered[i];
  if (state->mark) state->mark(1);
  if (state->mark) state->mark(2);
  if (logits == NULL) return EDGESLM_OK;
  uint32_t next = (5u * token + sum + 3u) % 64u;
  for (uint32_t i = 0; i < 256u; i++) logits[i] = EDGESLM_REAL(0);
  logits[next] = EDGESLM_REAL(8);
  if (state->mark) state->mark(3);
  return EDGESLM_OK;
}
