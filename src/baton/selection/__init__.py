"""Choosing among candidates by what they answer to rows that they were not fitted on.

Which candidates there are, what they cost, how good each is and which of them answer together.
Searching a space of hyperparameters belongs in ``baton.tuning``, fitting in ``baton.models``.
"""

from baton.selection.budget import Budget, expected_seconds
from baton.selection.choice import Choice, Ground, choose_blend, good_output
from baton.selection.leaderboard import Entry, Line, as_table, lines_of, of_table, verdict
from baton.selection.out_of_fold import (
    Cost,
    OutOfFold,
    predict_out_of_fold,
    refit_part,
    steps_of,
)
from baton.selection.paired import Difference, difference
from baton.selection.portfolio import GOOD, Candidate, portfolio, settings_of
from baton.selection.ranking import Part, Ranking, answers_of, rank

__all__ = [
    "GOOD",
    "Budget",
    "Candidate",
    "Choice",
    "Cost",
    "Difference",
    "Entry",
    "Ground",
    "Line",
    "OutOfFold",
    "Part",
    "Ranking",
    "answers_of",
    "as_table",
    "choose_blend",
    "difference",
    "expected_seconds",
    "good_output",
    "lines_of",
    "of_table",
    "portfolio",
    "predict_out_of_fold",
    "rank",
    "refit_part",
    "settings_of",
    "steps_of",
    "verdict",
]
