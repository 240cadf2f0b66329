"""A model as a small typed graph, for compilers that write code: nouns, node kinds, importers, passes, an interpreter.

docs/ir.md is the page about it.
"""
