#include "greeting.h"

#include "edgeslm_board.h"

void edgeslm_show(const char *text) {
  while (*text) edgeslm_uart_write((uint8_t)*text++);
}

static void show_digest(void) {
  const uint8_t *byte = (const uint8_t *)edgeslm_image_digest;
  for (uint32_t i = 0; i < 16u; i++) {
    uint32_t digit = i & 1u ? *byte++ & 15u : (uint32_t)*byte >> 4;
    edgeslm_uart_write(digit < 10u ? digit + '0' : digit + 'a' - 10u);
  }
}

void edgeslm_greet(const char *name, const char *scheme) {
  edgeslm_show("\r\n");
  edgeslm_show(name);
  edgeslm_show(", ");
  edgeslm_show(scheme);
  edgeslm_show(", ");
  show_digest();
  edgeslm_show("\r\n> ");
}
