/* Logits of a generated model, for every token of a file: run_cases of cases.h. */
#include "cases.h"

#include "edgeslm_model.h"

int run_cases(const char *cases, const char *results) {
  int in = open_file(cases, 0), out = open_file(results, 1);
  edgeslm_real *logits = edgeslm_logits(&edgeslm_model_state);
  uint32_t token;
  edgeslm_flush_denormals();
  for (uint32_t position = 0; read_file(in, &token, 4) == 4; position++) {
    int status = edgeslm_step(&edgeslm_model_state, token, position, logits);
    if (status != EDGESLM_OK) return status;
    write_file(out, logits, 4u * EDGESLM_MODEL_VOCABULARY);
  }
  close_file(in);
  close_file(out);
  return 0;
}
