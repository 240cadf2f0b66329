/* sample as fp32: the kernels of one token, in order. Written by edgeslm.
 *
 * Arena: 424 bytes; live set: 424. A step below is a call.
 *        0 …      1  text         before the first
 *        0 …     32  1/normed     steps 2 to 3
 *        0 …    128  1/scores     steps 7 to 7
 *        0 …     96  1/gate       steps 10 to 12
 *        0 …    388  logits       steps 14 to 14
 *       96 …    128  1/normed_2   steps 9 to 10
 *      128 …    192  1/qkv        steps 3 to 8
 *      192 …    208  angles       steps 0 to 12
 *      392 …    424  x            steps 1 to 14
 */
#include "model_weights.h"

const edgeslm_config edgeslm_model_config = {
    .name = "sample", .scheme = "fp32",
    .vocabulary = 97u, .width = 8u, .layers = 2u,
    .heads = 2u, .kv_heads = 1u, .head_dim = 4u,
    .feed_forward = 12u, .context = 32u,
    .bos = 0u, .add_bos = 1u, .eos_count = 1u, .eos = {1u},
};

edgeslm_state edgeslm_model_state;

static const edgeslm_attention_shape attention = {
    .heads = 2u, .kv_heads = 1u, .head_dim = 4u,
    .cache = EDGESLM_CACHE_FLOAT32, .context = 32u,
    .score_scale = EDGESLM_REAL(0.7213475f), /* with log2(e) */
};

edgeslm_real *edgeslm_logits(edgeslm_state *state) {
  return (edgeslm_real *)(void *)(state->arena + 0u);
}

static void mark(const edgeslm_state *state, uint32_t part) {
  if (state->mark) state->mark(part);
}

int edgeslm_step(edgeslm_state *state, uint32_t token, uint32_t position, edgeslm_real *logits) {
  if (token >= 97u) return EDGESLM_NO_SUCH_TOKEN;
  if (position >= 32u) return EDGESLM_CONTEXT_FULL;
  const edgeslm_weights *weights = &edgeslm_model_weights;
  edgeslm_real *angles = (void *)(state->arena + 192u); /* (2, 2) */
  edgeslm_real *x = (void *)(state->arena + 392u); /* (8) */

  /* Embedding */
  {
    edgeslm_rope_angles(angles, weights->rotary, 2u, position);
    edgeslm_row_f32(x, weights->model_embed_tokens, token, 8u, 0u);
  }
  mark(state, 0u);

  /* Layers 0 to 1 */
  for (uint32_t l = 0u; l < 2u; l++) {
    const edgeslm_layer *layer = &weights->layers[l];
    edgeslm_real *normed = (void *)(state->arena + 0u); /* (8) */
    edgeslm_real *qkv = (void *)(state->arena + 128u); /* (16) */
    edgeslm_real *scores = (void *)(state->arena + 0u); /* (32) */
    edgeslm_real *normed_2 = (void *)(state->arena + 96u); /* (8) */
    edgeslm_real *gate = (void *)(state->arena + 0u); /* (24) */
    edgeslm_rmsnorm(normed, x, layer->input_layernorm, 8u, EDGESLM_EPSILON(1e-05));
    edgeslm_gemv_f32(qkv, layer->self_attn_qkv_proj, normed, 16u, 8u, 0u);
    edgeslm_rope(qkv, angles, 3u, 4u, 2u);
    edgeslm_cache_store(state->keys[l], qkv + 8u, &attention, position);
    edgeslm_cache_store(state->values[l], qkv + 12u, &attention, position);
    edgeslm_attention(qkv, qkv, state->keys[l], state->values[l], scores, &attention, 0u, position + 1u);
    edgeslm_gemv_f32(x, layer->self_attn_o_proj, qkv, 8u, 8u, EDGESLM_ACCUMULATE);
    edgeslm_rmsnorm(normed_2, x, layer->post_attention_layernorm, 8u, EDGESLM_EPSILON(1e-05));
    edgeslm_gemv_f32(gate, layer->mlp_gate_proj_up_proj, normed_2, 24u, 8u, 0u);
    edgeslm_silu_mul(gate, gate, gate + 12u, 12u);
    edgeslm_gemv_f32(x, layer->mlp_down_proj, gate, 8u, 12u, EDGESLM_ACCUMULATE);
    mark(state, l + 1u);
  }

  if (logits == NULL) return EDGESLM_OK;

  /* Output layer */
  {
    edgeslm_rmsnorm(x, x, weights->model_norm, 8u, EDGESLM_EPSILON(1e-05));
    edgeslm_gemv_f32(logits, weights->model_embed_tokens, x, 97u, 8u, 0u);
  }
  mark(state, 3u);
  return EDGESLM_OK;
}
