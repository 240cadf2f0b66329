"""Ahead-of-time C for Arm Cortex-M."""
