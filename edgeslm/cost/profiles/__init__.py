"""Profiles that are shipped: a core each, as edgeslm/cost/profile.py reads them."""
