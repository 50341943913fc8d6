"""Searching hyperparameters: spaces, studies that processes share, and how a trial is scored.

What is drawn of a study belongs in ``baton.showing.plots.search``; who runs which trial in
``flows/tune.py``.
"""

from baton.tuning.search import MODEL, Search, several
from baton.tuning.spaces import chosen_space
from baton.tuning.storage import open_storage
from baton.tuning.study import Outcome, Study, open_study
from baton.tuning.trials import PREFIX, as_table, best_first, in_memory
from baton.tuning.validation import Validation, validation_of

__all__ = [
    "MODEL",
    "PREFIX",
    "Outcome",
    "Search",
    "Study",
    "Validation",
    "as_table",
    "best_first",
    "chosen_space",
    "in_memory",
    "open_storage",
    "open_study",
    "several",
    "validation_of",
]
