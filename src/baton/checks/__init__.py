"""Data checks: what a colleague would warn of, told from the tables alone.

One module a kind of warning, each a pure function of a data set's two sides. Whether a trained
model is of use is told in ``baton.evaluation.usefulness``.
"""

from baton.checks.inspection import CHECKS, inspect
from baton.checks.sides import Sides

__all__ = ["CHECKS", "Sides", "inspect"]
