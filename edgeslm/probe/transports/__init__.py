"""Ways to a device: siblings that never import each other."""
