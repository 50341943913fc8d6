"""What happened, as a story: each event with its cause."""

from datetime import UTC, datetime, timedelta

from baton.chain import manifest
from baton.chain.story import told
from tests.conftest import ROOT

MANIFEST = manifest.read(ROOT / "prefect.yaml")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _event(second, name, chain, **payload):
    return {
        "event": f"baton.{name}",
        "occurred": (NOW + timedelta(seconds=second)).isoformat(),
        "resource": {"prefect.resource.id": f"baton.{name.split('.')[0]}.iris"},
        "payload": {"chain": chain} | payload,
    }


EVENTS = [
    _event(0, "data.arrived", "a", generate={"chain": "a"}, predict=None),
    _event(1, "dataset.ready", "a"),
    _event(2, "dataset.ready", "z"),
    _event(3, "model.trained", "a"),
    _event(4, "model.evaluated", "a"),
    _event(5, "model.promoted", "a", predict={"chain": "b"}),
    _event(6, "predictions.ready", "b"),
    _event(7, "drift.detected", "b", generate={"chain": "c"}),
    _event(8, "dataset.ready", "c"),
]


def test_each_event_is_told_with_the_one_that_started_its_stage():
    """Within a chain, and from a chain to the one that it begins; by hand begun has no cause."""
    causes = [(one.chain, one.event.value, one.caused_by) for one in told(EVENTS[::-1], MANIFEST)]
    assert causes == [
        ("a", "baton.data.arrived", None),
        ("a", "baton.dataset.ready", "baton.data.arrived"),
        ("z", "baton.dataset.ready", None),
        ("a", "baton.model.trained", "baton.dataset.ready"),
        ("a", "baton.model.evaluated", "baton.model.trained"),
        ("a", "baton.model.promoted", "baton.model.evaluated"),
        ("b", "baton.predictions.ready", "baton.model.promoted"),
        ("b", "baton.drift.detected", "baton.predictions.ready"),
        ("c", "baton.dataset.ready", "baton.drift.detected"),
    ]


def test_what_was_announced_again_is_told_once():
    """Nobody had followed the first time; that it was repeated is no part of the story."""
    again = _event(20, "model.promoted", "a", predict={"chain": "b"})
    assert told([*EVENTS, again], MANIFEST) == told(EVENTS, MANIFEST)
