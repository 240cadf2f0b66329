"""An arm64 device in user space: Debian's arm64 userland under qemu-aarch64, with an exact count of instructions.

It runs the very files that a device runs, and gives true outputs, bytes and counts, but no times.
"""
