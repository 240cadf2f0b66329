"""Firmware for microcontrollers: compile and link, what each part takes, run on an emulated board, speak with it."""
