"""The contracts as a test kit: what every family of models and every problem has to keep.

A package that brings one derives a test class of its own; pytest, which the extra ``testing``
installs, is needed here and nowhere else::

    from baton.testing import ModelContract

    class TestNearest(ModelContract):
        family = "nearest"
"""

import pytest

pytest.register_assert_rewrite("baton.testing.models", "baton.testing.problems")

from baton.testing.models import ModelContract  # noqa: E402  after its asserts are to be rewritten
from baton.testing.problems import ProblemContract  # noqa: E402

__all__ = ["ModelContract", "ProblemContract"]
