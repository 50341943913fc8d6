"""What the pages say of registered models, by MLflow's aliases and the logs of the home."""

from datetime import UTC, datetime, timedelta

from baton.chain.decisions import Decision, Outcome
from serving.pages.registry import Score, beginning_of, score_of, short_name

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def decision(number, champion, **more):
    return Decision(
        number=number,
        at=BEGAN + timedelta(days=number),
        model="baton-iris",
        champion=champion,
        previous=None,
        **{"outcome": Outcome.PROMOTED, "version": champion or 1, "by": "gate", "reason": "r"}
        | more,
    )


def test_a_champion_is_one_since_it_is_it_without_a_break():
    """What was rejected meanwhile does not begin it anew; being taken back in between does."""
    rejected = {"outcome": Outcome.REJECTED, "version": 3}
    log = [decision(1, 2), decision(2, 1), decision(3, 2), decision(4, 2, **rejected)]
    assert beginning_of(2, log) == log[2].at


def test_of_a_champion_that_was_moved_elsewhere_nobody_knows_since_when():
    """Nor of none."""
    log = [decision(1, 1)]
    assert beginning_of(2, log) is beginning_of(None, log) is beginning_of(1, []) is None


def test_a_score_is_the_gates_where_the_chain_is_not_here():
    """A person's word has none of its own."""
    scored = {"metric": "accuracy", "value": 0.9, "value_low": 0.8, "value_high": 0.95}
    log = [decision(1, 1, **scored), decision(2, 2, by="Ann")]
    assert score_of(None, log, 1) == Score("accuracy", 0.9, (0.8, 0.95))
    assert score_of(None, log, 2) is score_of(None, log, None) is None


def test_a_model_is_called_by_its_own_name_or_its_problems():
    """As `baton models` has it."""
    assert short_name("baton-table-wine-target", "table") == "wine-target"
    assert short_name("baton-iris", "iris") == "iris"
