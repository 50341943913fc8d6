"""Drift: how far new rows are from what a model learned from.

Pure functions of tables and counts. Reading rows, keeping profiles and telling anybody belongs in
``tasks/`` and ``flows/``.
"""
