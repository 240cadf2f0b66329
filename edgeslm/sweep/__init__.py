"""Many builds at once: models × targets × limits, on this machine or on a Ray cluster."""
