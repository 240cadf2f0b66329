/* A plugin for qemu-user: counts a program's instructions and writes them down at marks and at clock reads.

   Each line of the file `counts` is a letter and the instructions since the line before:
     m  the system call getppid: a mark that the device's probe sets around what is to be counted
     c  a clock read (clock_gettime, gettimeofday): a runtime's own profiler makes one at the end of each operator
   Clock reads are written from the first mark on. Counts are exact while one guest thread runs: a block's instructions
   are added when the block is entered, without atomics. A second thread that runs at the same time can put back a sum
   that it read before: then nothing is counted since the line before, not less than nothing.

   Needs no headers of QEMU: the functions of its plugin interface that it uses are declared here, after
   include/qemu/qemu-plugin.h of QEMU 7.2. Versions from 9.0 on have another interface for inline counting; there
   (PLUGIN_VERSION 2) each block calls back.
   Usage: qemu-aarch64 -plugin file=instructions.so,counts=FILE ... */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION 1
#endif
#define EXPORTED __attribute__((visibility("default")))
/* System calls of Linux on arm64 (include/uapi/asm-generic/unistd.h). */
enum { CLOCK_GETTIME = 113, GETTIMEOFDAY = 169, GETPPID = 173 };

typedef uint64_t plugin_id;
struct block;

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
extern void qemu_plugin_register_vcpu_syscall_cb(
    plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t));
extern size_t qemu_plugin_tb_n_insns(const struct block *);
#if PLUGIN_VERSION == 1
enum { INLINE_ADD_U64 = 0 };
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct block *, int, void *, uint64_t);
#else
enum { NO_REGISTERS = 0 };
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct block *, void (*)(unsigned, void *), int, void *);
#endif

EXPORTED int qemu_plugin_version = PLUGIN_VERSION;

static uint64_t executed, at_last_line;
static int counts = -1, marked;

#if PLUGIN_VERSION != 1
static void on_execution(unsigned cpu, void *instructions) {
  (void)cpu;
  executed += (uintptr_t)instructions;
}
#endif

static void on_translation(plugin_id id, struct block *block) {
  (void)id;
  size_t instructions = qemu_plugin_tb_n_insns(block);
#if PLUGIN_VERSION == 1
  qemu_plugin_register_vcpu_tb_exec_inline(block, INLINE_ADD_U64, &executed, instructions);
#else
  qemu_plugin_register_vcpu_tb_exec_cb(block, on_execution, NO_REGISTERS, (void *)(uintptr_t)instructions);
#endif
}

static void on_syscall(plugin_id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                       uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
  (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
  int mark = number == GETPPID;
  if (!mark && !(marked && (number == CLOCK_GETTIME || number == GETTIMEOFDAY))) return;
  marked = 1;
  uint64_t now = executed, since = now > at_last_line ? now - at_last_line : 0; /* read once: it may change meanwhile */
  dprintf(counts, "%c %llu\n", mark ? 'm' : 'c', (unsigned long long)since);
  at_last_line = now;
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
