"""Baton's thinking: pure functions and frozen models.

What knows Prefect or MLflow belongs in ``tasks/``, order in ``flows/``.
"""
