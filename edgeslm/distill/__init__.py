"""Distillation: what a small model learns from a larger one, beside what the data tells it.

`losses.py` are the terms, each from its paper; `train.py` is a loop that can be interrupted. Recipes such as
scripts/train_demo.py choose data, models and terms.
"""
