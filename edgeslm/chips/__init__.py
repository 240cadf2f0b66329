"""Microcontrollers as their makers describe them: clocks, memories, UARTs and the pins those reach."""
