#include "cases.h"

#include "edgeslm_integers.h"

/* A case: bytes that follow | kernel | repeats | arguments (9) | count of buffers | for each: bytes, data (filled up to 4). */
enum { MOST_BYTES = 384 * 1024, MOST_BUFFERS = 6, ARGUMENTS = 9 };

static uint32_t memory[MOST_BYTES / 4];

#if EDGESLM_FIXED
#define REAL(bits) ((edgeslm_real)(bits))
#define EPSILON(bits) (bits)
#else
static float as_float(uint32_t bits) {
  union {
    uint32_t bits;
    float value;
  } both = {bits};
  return both.value;
}
#define REAL(bits) as_float(bits)
#define EPSILON(bits) as_float(bits)
#endif

/* Kernels of int8 graphs. Their first buffer holds y, at byte a[0], and the scratch, at byte a[1]; a[2] and a[3] are
 * where in their buffers the inputs start. */
static int run_integer_case(uint32_t kernel, const uint32_t *a, void *const *b) {
  int8_t *y = (int8_t *)b[0] + a[0];
  void *scratch = (int8_t *)b[0] + a[1];
  const int8_t *first = (const int8_t *)b[1] + a[2], *second = b[2] ? (const int8_t *)b[2] + a[3] : NULL;
  edgeslm_multiplier by = {(int32_t)a[7], (int32_t)a[8]};
  edgeslm_matmul_shape matmul;
  switch (kernel) {
    case 31: edgeslm_linear_s8(y, b[2], first, scratch, b[3]); break;
    case 32:
      __builtin_memcpy(&matmul, b[3], offsetof(edgeslm_matmul_shape, each));
      matmul.each = a[5] ? b[5] : NULL;
      edgeslm_matmul_s8(y, first, second, a[4] ? b[4] : NULL, scratch, &matmul);
      break;
    case 33: edgeslm_add_s8(y, first, second, b[3]); break;
    case 34: edgeslm_sub_s8(y, first, second, b[3]); break;
    case 35: edgeslm_squared_difference_s8(y, first, second, b[3]); break;
    case 36: edgeslm_mul_s8(y, first, second, b[3]); break;
    case 37: edgeslm_softmax_s8(y, first, a[4], a[5], b[2], a[6]); break;
    case 38: edgeslm_mean_s8(y, first, a[3], a[4], a[5], (int32_t)a[6], by, b[2]); break;
    case 39: edgeslm_table_s8(y, first, second, a[4]); break;
    case 40: y[-1] = (int8_t)edgeslm_gather(y, first, b[2], a[4], a[5], a[6], a[7]); break;
    case 41: edgeslm_copy(y, first, b[2]); break;
    case 42: edgeslm_fill_s8(y, (int32_t)a[4], a[5]); break;
#if !EDGESLM_FIXED
    case 43: edgeslm_to_s8(y, b[1], a[4], REAL(a[5]), (int32_t)a[6]); break;
    case 44: edgeslm_from_s8(b[0], first, a[4], REAL(a[5]), (int32_t)a[6]); break;
#endif
    default: return 1;
  }
  return 0;
}

static int run_case(uint32_t kernel, const uint32_t *a, void *const *b) {
  edgeslm_attention_shape shape = {0};
  switch (kernel) {
    case 0: edgeslm_quantize_row(b[0], b[1], a[0], a[1]); break;
    case 1: edgeslm_gemv_i8(b[0], b[1], b[2], a[0], a[1], a[2]); break;
    case 2: edgeslm_gemv_i4(b[0], b[1], b[2], a[0], a[1], a[2], a[3]); break;
#if !EDGESLM_FIXED
    case 3: edgeslm_gemv_f32(b[0], b[1], b[2], a[0], a[1], a[2]); break;
    case 7: edgeslm_row_f32(b[0], b[1], a[0], a[1], a[2]); break;
#endif
    case 4:
      edgeslm_gemv_i8_requant(b[0], b[1], b[2], b[3], a[0], a[1], (int32_t)a[2], (int32_t)a[3], (int32_t)a[4]);
      break;
    case 5: edgeslm_row_i8(b[0], b[1], a[0], a[1], a[2]); break;
    case 6: edgeslm_row_i4(b[0], b[1], a[0], a[1], a[2], a[3]); break;
    case 8: edgeslm_rmsnorm(b[0], b[1], b[2], a[0], EPSILON(a[1])); break;
    case 9: edgeslm_layernorm(b[0], b[1], b[2], a[2] ? b[3] : NULL, a[0], EPSILON(a[1])); break;
    case 10: edgeslm_rope_angles(b[0], b[1], a[0], a[1]); break;
    case 11: edgeslm_rope(b[0], b[1], a[0], a[1], a[2]); break;
    case 12: /* keys and values go into their caches from a stream of all positions; then the last q attends */
      shape.heads = (uint16_t)a[0];
      shape.kv_heads = (uint16_t)a[1];
      shape.head_dim = (uint16_t)a[2];
      shape.context = a[3];
      shape.cache = (uint16_t)a[4];
      shape.score_scale = REAL(a[7]);
      for (uint32_t p = 0; p < a[6]; p++) {
        uint32_t row = p * shape.kv_heads * shape.head_dim;
        edgeslm_cache_store(b[3], (edgeslm_real *)b[2] + row, &shape, p);
        edgeslm_cache_store(b[4], (edgeslm_real *)b[2] + a[6] * shape.kv_heads * shape.head_dim + row, &shape, p);
      }
      if (a[8]) {
        shape.score_cap = REAL(a[8]);
        edgeslm_capped_attention(b[0], b[1], b[3], b[4], b[5], &shape, a[5], a[6]);
      } else {
        edgeslm_attention(b[0], b[1], b[3], b[4], b[5], &shape, a[5], a[6]);
      }
      break;
    case 13: edgeslm_add(b[0], b[1], a[0]); break;
    case 14: edgeslm_scale(b[0], REAL(a[1]), a[0]); break;
    case 15: edgeslm_softmax(b[0], a[0]); break;
    case 16: edgeslm_silu_mul(b[0], b[1], b[2], a[0]); break;
    case 17: edgeslm_gelu_tanh_mul(b[0], b[1], b[2], a[0]); break;
    case 18: edgeslm_silu(b[0], a[0]); break;
    case 19: edgeslm_gelu_tanh(b[0], a[0]); break;
    case 20: edgeslm_gelu_erf(b[0], a[0]); break;
    case 21: edgeslm_tanh(b[0], a[0]); break;
    case 22: edgeslm_relu(b[0], a[0]); break;
    case 23: *(uint32_t *)b[0] = edgeslm_argmax(b[1], a[0]); break;
    case 24: /* attention alone: the caches are what they are */
      shape.heads = (uint16_t)a[0];
      shape.kv_heads = (uint16_t)a[1];
      shape.head_dim = (uint16_t)a[2];
      shape.context = a[3];
      shape.cache = (uint16_t)a[4];
      shape.score_scale = REAL(a[7]);
      edgeslm_attention(b[0], b[1], b[2], b[3], b[4], &shape, a[5], a[6]);
      break;
    case 25: break; /* nothing: what counting costs */
    case 26: edgeslm_mul(b[0], b[1], a[0]); break;
    case 27: edgeslm_soft_cap(b[0], REAL(a[1]), a[0]); break;
    case 28: edgeslm_quantize_static(b[0], b[1], REAL(a[2]), a[0], a[1]); break;
    case 29: edgeslm_unit_norm(b[0], a[0], EPSILON(a[1])); break;
    case 30: edgeslm_pool(b[0], b[1], a[0], a[1], a[2]); break;
    case 45:
      shape.heads = (uint16_t)a[0];
      shape.kv_heads = (uint16_t)a[1];
      shape.head_dim = (uint16_t)a[2];
      shape.context = a[3];
      shape.cache = (uint16_t)a[4];
      edgeslm_cache_store(b[0], b[1], &shape, a[5]);
      break;
    default: return run_integer_case(kernel, a, b);
  }
  return 0;
}

int run_cases(const char *cases, const char *results) {
  int in = open_file(cases, 0), out = open_file(results, 1), status = 0;
  uint32_t bytes;
  edgeslm_flush_denormals();
  while (read_file(in, &bytes, 4) == 4) {
    void *buffers[MOST_BUFFERS] = {NULL};
    if (bytes > MOST_BYTES || read_file(in, memory, bytes) != bytes) return 2;
    uint32_t *word = memory + 2 + ARGUMENTS, count = *word++, first = 0;
    for (uint32_t i = 0; i < count; i++) {
      uint32_t size = *word++;
      if (i == 0) first = size;
      buffers[i] = word;
      word += (size + 3u) / 4u;
    }
    /* time of `repeats`, in ticks; then the first buffer */
    uint32_t start = read_ticks();
    for (uint32_t i = 0; i < memory[1] && status == 0; i++) status = run_case(memory[0], memory + 2, buffers);
    uint32_t ticks = (start - read_ticks()) & 0xffffffu;
    if (status) return status;
    write_file(out, &ticks, 4);
    write_file(out, &first, 4);
    write_file(out, buffers[0], first);
  }
  close_file(in);
  close_file(out);
  return 0;
}
