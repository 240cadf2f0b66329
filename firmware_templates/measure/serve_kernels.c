/* What a board answers whose program is single kernels, to be measured: serve.h says in which frames. It takes the place
 * of serve.c. Numbers that it computes with are made up here: what a kernel takes does not depend on them, as long as they
 * are none but normal ones. */
#include "kernel_buffers.h"

#include "edgeslm_board.h"
#include "edgeslm_kernels.h"
#include "frames.h"
#include "greeting.h"
#include "serve.h"

#define WORDS(array) ((uint32_t)(sizeof(array) / sizeof(array[0])))
#define RETURN 13

enum {
  ARGUMENTS = 9,
  HEAD = 3 + ARGUMENTS + 1, /* kernel, runs, most ticks; arguments; count of buffers */
  MOST_BUFFERS = 6,
  ALIGNED = 16
};
enum { FROM_FLASH, ANY_BYTES, NUMBERS }; /* what is in a buffer */

static const char name[] = "kernels";
static edgeslm_receiver receiver;
static uint32_t memory[EDGESLM_MODEL_ARENA_BYTES / 4u] __attribute__((aligned(ALIGNED)));
static uint32_t next_weight; /* where in edgeslm_kernel_weights the next matrix begins */

static void send_words(uint32_t type, const uint32_t *words, uint32_t count) { edgeslm_send(type, words, count, NULL, 0); }

static void send_error(uint32_t code, uint32_t first, uint32_t second) {
  const uint32_t words[] = {code, first, second};
  send_words('e', words, WORDS(words));
}

void edgeslm_report_fault(uint32_t cause, uint32_t address) { send_error(EDGESLM_ERROR_FAULT, cause, address); }

static void hello(void) {
  const uint32_t words[] = {
      EDGESLM_PROTOCOL,
      EDGESLM_MOST_PAYLOAD,
      0,
      0,
      0,
      edgeslm_ticks_source(),
      edgeslm_stack_bytes(),
      EDGESLM_MODEL_ARENA_BYTES,
      EDGESLM_KERNEL_WEIGHT_BYTES,
      edgeslm_clock_hz(),
      edgeslm_image_digest[0],
      edgeslm_image_digest[1],
  };
  edgeslm_send('h', words, WORDS(words), name, sizeof(name) - 1u);
}

/* ---- Kernels ------------------------------------------------------------------------------------------------------- */

static float as_float(uint32_t bits) {
  union {
    uint32_t bits;
    float value;
  } both = {bits};
  return both.value;
}

static edgeslm_attention_shape shape_of(const uint32_t *a) {
  edgeslm_attention_shape shape = {(uint16_t)a[0], (uint16_t)a[1], (uint16_t)a[2], (uint16_t)a[4], a[3], 1.0f, 1.0f};
  return shape;
}

/* Call a kernel: its number is its place in edgeslm/probe/board_grid.py. Returns 0 for one that there is not. */
static int call_kernel(uint32_t kernel, const uint32_t *a, void *const *b) {
  edgeslm_attention_shape shape;
  switch (kernel) {
    case 0: break; /* nothing: what counting takes */
    case 1: edgeslm_gemv_i8(b[0], b[1], b[2], a[0], a[1], a[2]); break;
    case 2: edgeslm_gemv_i4(b[0], b[1], b[2], a[0], a[1], a[2], a[3]); break;
    case 3: edgeslm_gemv_f32(b[0], b[1], b[2], a[0], a[1], a[2]); break;
    case 4: edgeslm_row_i8(b[0], b[1], a[0], a[1], a[2]); break;
    case 5: edgeslm_row_i4(b[0], b[1], a[0], a[1], a[2], a[3]); break;
    case 6: edgeslm_row_f32(b[0], b[1], a[0], a[1], a[2]); break;
    case 7: edgeslm_quantize_row(b[0], b[1], a[0], a[1]); break;
    case 8: edgeslm_quantize_static(b[0], b[1], as_float(a[2]), a[0], a[1]); break;
    case 9: edgeslm_rmsnorm(b[0], b[1], b[2], a[0], as_float(a[1])); break;
    case 10: edgeslm_layernorm(b[0], b[1], b[2], b[3], a[0], as_float(a[1])); break;
    case 11: edgeslm_unit_norm(b[0], a[0], as_float(a[1])); break;
    case 12: edgeslm_rope_angles(b[0], b[1], a[0], a[1]); break;
    case 13: edgeslm_rope(b[0], b[1], a[0], a[1], a[2]); break;
    case 14:
      shape = shape_of(a);
      edgeslm_cache_store(b[0], b[1], &shape, a[5]);
      break;
    case 15:
      shape = shape_of(a);
      edgeslm_attention(b[0], b[1], b[2], b[3], b[4], &shape, a[5], a[6]);
      break;
    case 16: edgeslm_add(b[0], b[1], a[0]); break;
    case 17: edgeslm_mul(b[0], b[1], a[0]); break;
    case 18: edgeslm_scale(b[0], as_float(a[1]), a[0]); break;
    case 19: edgeslm_soft_cap(b[0], as_float(a[1]), a[0]); break;
    case 20: edgeslm_softmax(b[0], a[0]); break;
    case 21: edgeslm_silu_mul(b[0], b[1], b[2], a[0]); break;
    case 22: edgeslm_gelu_tanh_mul(b[0], b[1], b[2], a[0]); break;
    case 23: edgeslm_silu(b[0], a[0]); break;
    case 24: edgeslm_gelu_tanh(b[0], a[0]); break;
    case 25: edgeslm_gelu_erf(b[0], a[0]); break;
    case 26: edgeslm_tanh(b[0], a[0]); break;
    case 27: edgeslm_relu(b[0], a[0]); break;
    case 28: *(volatile uint32_t *)b[0] = edgeslm_argmax(b[1], a[0]); break;
    case 29: edgeslm_pool(b[0], b[1], a[0], a[1], a[2]); break;
    default: return 0;
  }
  return 1;
}

/* ---- Buffers ------------------------------------------------------------------------------------------------------- */

static uint32_t rounded(uint32_t bytes) { return (bytes + ALIGNED - 1u) / ALIGNED * ALIGNED; }

/* About a standard normal distribution: the sum of four bytes of a linear congruential generator. */
static void fill_numbers(float *to, uint32_t count) {
  uint32_t state = 1;
  for (uint32_t i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    uint32_t sum = (state & 255u) + (state >> 8 & 255u) + (state >> 16 & 255u) + (state >> 24);
    to[i] = (float)((int32_t)sum - 510) * (1.0f / 148.0f);
  }
}

/* The request's buffers, in RAM or in flash, and what is in them. Weights begin where those before ended, so that a cache
 * does not hold them, as it does not those of a model. Returns 0 where there is no room. */
static int place_buffers(void **buffers, uint32_t count) {
  uint32_t used = 0;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t kind = edgeslm_frame_word(&receiver, HEAD + 2u * i), bytes = edgeslm_frame_word(&receiver, HEAD + 2u * i + 1u);
    if (kind == FROM_FLASH) {
      if (bytes > EDGESLM_KERNEL_WEIGHT_BYTES) return 0;
      if (bytes > EDGESLM_KERNEL_WEIGHT_BYTES - next_weight) next_weight = 0;
      buffers[i] = (void *)(uintptr_t)(edgeslm_kernel_weights + next_weight / 4u);
      next_weight += rounded(bytes);
      if (next_weight > EDGESLM_KERNEL_WEIGHT_BYTES) next_weight = 0;
      continue;
    }
    if (bytes > EDGESLM_MODEL_ARENA_BYTES - used) return 0;
    uint32_t *to = memory + used / 4u;
    if (kind == NUMBERS)
      fill_numbers((float *)(void *)to, bytes / 4u);
    else
      for (uint32_t word = 0; word < bytes / 4u; word++) to[word] = edgeslm_kernel_weights[word & 255u];
    buffers[i] = to;
    used += rounded(bytes);
    if (used > EDGESLM_MODEL_ARENA_BYTES) used = EDGESLM_MODEL_ARENA_BYTES;
  }
  return 1;
}

/* Run a kernel again and again, on the same numbers each time, and tell what all and the fastest run took. */
static void measure(void) {
  void *buffers[MOST_BUFFERS] = {NULL};
  uint32_t a[ARGUMENTS], kernel = edgeslm_frame_word(&receiver, 0), count = edgeslm_frame_word(&receiver, HEAD - 1);
  uint32_t wanted = edgeslm_frame_word(&receiver, 1), most = edgeslm_frame_word(&receiver, 2);
  uint32_t runs = 0, sum = 0, least = UINT32_MAX;
  for (uint32_t i = 0; i < ARGUMENTS; i++) a[i] = edgeslm_frame_word(&receiver, 3u + i);
  if (count > MOST_BUFFERS) {
    send_error(EDGESLM_ERROR_KERNEL, kernel, count);
    return;
  }
  next_weight = 0;
  edgeslm_ticks_align();
  while (runs < wanted && sum < most) {
    int is_known = place_buffers(buffers, count);
    uint32_t start = edgeslm_ticks();
    if (is_known) is_known = call_kernel(kernel, a, buffers);
    uint32_t taken = edgeslm_ticks() - start;
    if (!is_known) {
      send_error(EDGESLM_ERROR_KERNEL, kernel, count);
      return;
    }
    sum += taken;
    if (taken < least) least = taken;
    runs++;
  }
  const uint32_t words[] = {runs, sum, least, edgeslm_stack_used()};
  send_words('d', words, WORDS(words));
}

/* ---- Requests ------------------------------------------------------------------------------------------------------ */

/* 1 where the host says that this is the end. */
static int answer_request(void) {
  uint32_t type = edgeslm_frame_type(&receiver);
  if (!edgeslm_confirm(&receiver)) return 0;
  switch (type) {
    case 'H': hello(); break;
    case 'K': measure(); break;
    case 'Q': return 1;
    default: send_error(EDGESLM_ERROR_UNKNOWN, type, edgeslm_frame_bytes(&receiver));
  }
  return 0;
}

int edgeslm_serve(void) {
  edgeslm_flush_denormals();
  edgeslm_greet(name, name);
  for (;;) {
    int byte = edgeslm_uart_poll();
    if (byte == EDGESLM_UART_ENDED) return 0;
    if (byte == EDGESLM_NO_BYTE) continue;
    if (receiver.count == receiver.taken && byte == RETURN) edgeslm_greet(name, name); /* a person */
    for (int whole = edgeslm_receive(&receiver, byte); whole; whole = edgeslm_receive(&receiver, -1))
      if (answer_request()) return 0;
  }
}
