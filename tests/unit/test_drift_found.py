"""What was found of new rows, at rest: a table that says it all again."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from baton.errors import InputError
from baton.monitoring.drift import Watch, compare, with_classifier
from baton.monitoring.found import as_table, of_table
from baton.monitoring.profile import Counts, profile_of


class _MoreWatch(Watch):
    """A watch of which something else is asked, too."""

    more: int = 1


def _found():
    random = np.random.default_rng(0)
    before = pd.DataFrame({"x": random.normal(size=300), "c": random.choice(list("ab"), 300)})
    now = before.assign(x=before["x"] + 1, c=before["c"].where(before.index > 30))
    counts = Counts(profile_of(before))
    counts.add(now)
    return with_classifier(compare(counts, Watch()), before, now, seed=0)


def test_what_was_found_is_read_back_as_it_was(tmp_path):
    """Through a Parquet file: every column with its bins, the classifier, the reason."""
    found = _found()
    assert found.is_drifted
    assert found.told_by
    pq.write_table(as_table(found), tmp_path / "drift.parquet")
    assert of_table(pq.read_table(tmp_path / "drift.parquet")) == found


def test_a_watch_that_says_more_is_kept_as_far_as_it_decided():
    """A stage's own parameters beside are no part of what was found."""
    counts = Counts(profile_of(pd.DataFrame({"x": range(100)})))
    counts.add(pd.DataFrame({"x": range(100)}))
    assert of_table(as_table(compare(counts, _MoreWatch(psi=0.5)))).watch == Watch(psi=0.5)


def test_another_table_is_refused():
    """In one line, with what to do."""
    with pytest.raises(InputError, match="delete the file and predict again"):
        of_table(pa.table({"x": [1]}))
