/* A QEMU plugin: counts guest instructions and writes the count since the last marker, a line each.

   The marker is the system call getppid (173 on arm64), which no runtime makes by itself. Counts are exact for one
   guest thread: a block's instructions are added when the block is entered, without atomics.
   Needs no headers of QEMU: the few functions of its plugin interface, version 1, are declared here.
   Usage: qemu-aarch64 -plugin file=measure_instructions.so,counts=FILE ...
*/
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))
enum { GETPPID = 173, INLINE_ADD_U64 = 0 };

typedef uint64_t plugin_id;
struct block;

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct block *, int, void *, uint64_t);
extern void qemu_plugin_register_vcpu_syscall_cb(
    plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t));
extern size_t qemu_plugin_tb_n_insns(const struct block *);

EXPORTED int qemu_plugin_version = 1;

static uint64_t executed, at_last_marker;
static int counts = -1;

static void on_translation(plugin_id id, struct block *block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline(block, INLINE_ADD_U64, &executed, qemu_plugin_tb_n_insns(block));
}

static void on_syscall(plugin_id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                       uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
  (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
  if (number != GETPPID) return;
  dprintf(counts, "%llu\n", (unsigned long long)(executed - at_last_marker));
  at_last_marker = executed;
}

EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments) {
  (void)info;
  for (int i = 0; i < count; i++)
    if (strncmp(arguments[i], "counts=", 7) == 0)
      counts = open(arguments[i] + 7, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (counts < 0) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
  return 0;
}
