"""The devices edgeslm knows: one TOML file each, read through importlib.resources."""
