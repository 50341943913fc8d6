"""Where the chain is written down."""

from pathlib import Path

MANIFEST = Path(__file__).parents[2] / "prefect.yaml"
"""prefect.yaml, beside the folder of flows in a clone, an image and an installed wheel."""

NOTEBOOKS = MANIFEST.with_name("notebooks")
"""Folder of Baton's own notebooks, beside it."""
