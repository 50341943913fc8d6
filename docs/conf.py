"""How Sphinx builds the site."""

import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

project = "Baton"
author = "the Baton authors"
copyright = "2026, the Baton authors"
release = metadata.version("baton-pipelines")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "baton_site"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Two packages have a Kind; the first one found, that of the problems, is meant.
suppress_warnings = ["ref.python"]

default_role = "code"  # docstrings put names into single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_display_short_literal_types = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False

html_theme = "furo"
html_title = "Baton"
html_static_path = ["_static"]
html_show_sphinx = False
html_copy_source = False
html_css_files = ["baton.css"]
html_use_index = False
html_domain_indices = False
