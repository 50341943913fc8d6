"""The report of one chain: a single HTML file that needs nothing but a browser.

A :class:`Report` is plain data, :func:`render` turns it into a page. Drawing belongs in
``baton.showing.plots``, reading tables and writing the file in ``tasks/``.
"""

from baton.showing.report.page import render, render_page
from baton.showing.report.parts import (
    FEW_ROWS,
    Contribution,
    Data,
    Explanation,
    File,
    Image,
    Leaderboard,
    Measured,
    Model,
    Report,
    ReportTable,
    Search,
    Sources,
    Standing,
)
from baton.showing.report.shaping import (
    answer_tables,
    class_importance_table,
    contributions,
    environment,
    importance_table,
    leaderboard_table,
    measured,
    rows_worth_explaining,
)

__all__ = [
    "FEW_ROWS",
    "Contribution",
    "Data",
    "Explanation",
    "File",
    "Image",
    "Leaderboard",
    "Measured",
    "Model",
    "Report",
    "ReportTable",
    "Search",
    "Sources",
    "Standing",
    "answer_tables",
    "class_importance_table",
    "contributions",
    "environment",
    "importance_table",
    "leaderboard_table",
    "measured",
    "render",
    "render_page",
    "rows_worth_explaining",
]
