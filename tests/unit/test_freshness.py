"""When a deployment is late, and what is said of it."""

from datetime import UTC, datetime, timedelta

import pytest

from baton.chain import manifest
from baton.chain.events import Late
from baton.chain.freshness import Known, is_due, lateness
from tests.conftest import ROOT

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DAY = timedelta(days=1)
ENTRIES = {entry.name: entry for entry in manifest.read(ROOT / "prefect.yaml").deployments}


def _entry(name="predict"):
    return ENTRIES[name].model_copy(update={"fresh_within": DAY})


def test_late_is_what_made_nothing_new_for_longer_than_it_may():
    """The announcement says what, since when, how long is allowed and what to do, in one line."""
    assert lateness(_entry(), Known(BEGAN, BEGAN), BEGAN + DAY) is None
    late = lateness(_entry(), Known(BEGAN, BEGAN), BEGAN + DAY + timedelta(seconds=11))
    assert (late.deployment, late.since, late.allowed_seconds) == ("predict", BEGAN, 86400)
    assert late.awaited == ("baton.predictions.ready",)
    assert late.reason == (
        "predict is late: no new prediction since 2026-01-02 03:04:05 UTC, more than 1 day ago; see"
        " that `baton up` or a worker is running, that its schedule is on, and what its last runs"
        " say"
    )
    assert late.resource_id == "baton.freshness.predict"
    assert Late.model_validate(late.payload()) == late


def test_the_same_lateness_says_the_same_whenever_it_is_found():
    """So whoever finds it a second time announces the same event."""
    found = {lateness(_entry(), Known(BEGAN, BEGAN), BEGAN + n * DAY) for n in (2, 3)}
    assert len(found) == 1


def test_what_was_told_is_not_told_again():
    """Until something came, and then nothing."""
    assert lateness(_entry(), Known(BEGAN, BEGAN, is_told=True), BEGAN + 9 * DAY) is None


@pytest.mark.parametrize(
    ("known", "after", "is_time"),
    [
        (None, 0, True),
        (Known(BEGAN, BEGAN), 0.9, False),
        (Known(BEGAN, BEGAN + 2 * DAY), 2, True),
        (Known(BEGAN, BEGAN + 2 * DAY, is_told=True), 2.9, False),
        (Known(BEGAN, BEGAN + 2 * DAY, is_told=True), 3.1, True),
    ],
)
def test_nothing_is_looked_for_before_it_can_be_late(known, after, is_time):
    """What is late is told at once; whoever was told is left alone as long as may be waited."""
    assert is_due(known, DAY, BEGAN + after * DAY) == is_time


def test_who_may_be_as_old_as_he_likes_is_never_late():
    """Nothing is watched that nobody asked for."""
    assert lateness(ENTRIES["predict"], Known(BEGAN, BEGAN), BEGAN + 9 * DAY) is None
