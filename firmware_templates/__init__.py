"""Plain C that compiles as it lies here: kernels, model, tokenizer, protocol, boards."""
