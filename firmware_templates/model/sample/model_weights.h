/* Where the weights are: structs of pointers into flash. Written by edgeslm. */
#ifndef EDGESLM_MODEL_WEIGHTS_H
#define EDGESLM_MODEL_WEIGHTS_H

#include "edgeslm_model.h"

/* A layer's; 2 of this shape. */
typedef struct {
  const edgeslm_real *input_layernorm; /* (8) */
  const uint32_t *self_attn_qkv_proj; /* (16, 8) fp32 */
  const uint32_t *self_attn_o_proj; /* (8, 8) fp32 */
  const edgeslm_real *post_attention_layernorm; /* (8) */
  const uint32_t *mlp_gate_proj_up_proj; /* (24, 8) fp32 */
  const uint32_t *mlp_down_proj; /* (8, 12) fp32 */
} edgeslm_layer;

struct edgeslm_weights {
  const edgeslm_frequency *rotary; /* (2) */
  const uint32_t *model_embed_tokens; /* (97, 8) fp32 */
  const edgeslm_real *model_norm; /* (8) */
  edgeslm_layer layers[2];
};

#endif
