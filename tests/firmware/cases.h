/* Cases for kernels: a file of them goes in, what each kernel left in its first buffer comes out. */
#ifndef EDGESLM_CASES_H
#define EDGESLM_CASES_H

#include <stdint.h>

/* The machine: files, and time. `open_file` ends the program if it cannot. */
int open_file(const char *name, int write);
/* Returns the bytes that were read. */
uint32_t read_file(int file, void *bytes, uint32_t count);
void write_file(int file, const void *bytes, uint32_t count);
void close_file(int file);
/* Ticks of 24 bits, counting down; 0 on the host. */
uint32_t read_ticks(void);
_Noreturn void end_program(int status);

int run_cases(const char *cases, const char *results);

#endif
