"""Flash a firmware bundle: find the board, write, read back, reset, wait for what the image says of itself.

run.py is the story; each way to a board is a file of its own, and they never import each other.
"""
