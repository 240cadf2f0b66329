"""A device that SSH leads to: look at it, copy to it, install on it, run there."""
