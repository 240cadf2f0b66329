/* The host's side of cases.h. Buffers are copied so that the sanitizer sees where each ends. */
#include <stdio.h>
#include <stdlib.h>

#include "cases.h"

static FILE *files[2];

int open_file(const char *name, int write) {
  files[write] = fopen(name, write ? "wb" : "rb");
  if (!files[write]) end_program(3);
  return write;
}

uint32_t read_file(int file, void *bytes, uint32_t count) { return (uint32_t)fread(bytes, 1, count, files[file]); }

void write_file(int file, const void *bytes, uint32_t count) {
  if (fwrite(bytes, 1, count, files[file]) != count) end_program(4);
}

void close_file(int file) { fclose(files[file]); }

uint32_t read_ticks(void) { return 0; }

_Noreturn void end_program(int status) { exit(status); }

int main(int count, char **arguments) { return count == 3 ? run_cases(arguments[1], arguments[2]) : 5; }
