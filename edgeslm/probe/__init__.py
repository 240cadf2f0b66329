"""Probes: a bundle measured on the device it was built for, and what came of it."""
