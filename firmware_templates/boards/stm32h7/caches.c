/* Caches of a Cortex-M7: Arm DDI 0489, 3.3 and 5.3; Arm DDI 0403, B3.2 and B4.8. What is in them after reset is
 * unknown: both are emptied before they are used, the one for data set by set, way by way. */
#include "caches.h"

#include "registers.h"

#define CONFIGURATION 0xe000ed14u
#define CACHE_SIZE 0xe000ed80u
#define CACHE_CHOICE 0xe000ed84u
#define EMPTY_INSTRUCTIONS 0xe000ef50u
#define EMPTY_SET_AND_WAY 0xe000ef60u
enum { LINE_BITS = 5 }; /* 32 bytes */

#ifdef __arm__
#define SETTLE() __asm__ volatile("dsb\n isb" ::: "memory")
#else
#define SETTLE() /* a test on the host */
#endif

void start_caches(void) {
  write_register(CACHE_CHOICE, 0); /* the first level's, for data */
  SETTLE();
  const uint32_t size = read_register(CACHE_SIZE);
  const uint32_t sets = (size >> 13 & 0x7fffu) + 1u, last_way = size >> 3 & 0x3ffu;
  uint32_t shift = 32; /* of the way's number: it lies in the highest bits */
  for (uint32_t rest = last_way; rest; rest >>= 1) shift--;
  for (uint32_t set = 0; set < sets; set++)
    for (uint32_t way = 0; way <= last_way; way++)
      write_register(EMPTY_SET_AND_WAY, set << LINE_BITS | (last_way ? way << shift : 0));
  write_register(EMPTY_INSTRUCTIONS, 0);
  SETTLE();
  change_register(CONFIGURATION, 3u << 16, 3u << 16);
  SETTLE();
}
