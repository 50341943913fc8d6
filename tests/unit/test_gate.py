"""The gate: what a challenger must show, and how often noise passes for it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from baton.evaluation.gate import N_RESAMPLES, Answer, Evidence, Gate, Paired, decide, paired
from baton.metric import Metric
from baton.terms import Kind

BETTER = Paired("accuracy", 0.90, 0.93, 0.03, 0.01, 0.05, 1000)
NOISE = Paired("accuracy", 0.90, 0.91, 0.01, -0.01, 0.03, 1000)
AGAINST = Evidence(version=2, metric="accuracy", value=0.93, champion=1, paired=BETTER)


def test_the_first_model_is_promoted_if_it_reaches_the_floor() -> None:
    """Where there is no champion, the floor alone decides."""
    first = Evidence(version=1, metric="rmse", value=3.1, is_greater_better=False)
    assert decide(first, Gate()).is_promoted
    assert decide(first, Gate(floor=3.2)).is_promoted
    refused = decide(first, Gate(floor=3.0))
    assert not refused.is_promoted
    assert refused.reason == "rmse 3.1, and the floor is 3"


def test_a_gain_counts_when_its_interval_lies_above_the_margin() -> None:
    """A gain within noise is none, and so is one that the margin eats."""
    assert decide(AGAINST, Gate()).is_promoted
    assert not decide(replace(AGAINST, paired=NOISE), Gate()).is_promoted
    assert not decide(AGAINST, Gate(margin=0.01)).is_promoted
    assert decide(AGAINST, Gate(margin=0.009)).is_promoted


def test_the_reason_has_both_values_the_difference_and_its_interval() -> None:
    """Whoever reads the reason alone knows what was measured."""
    assert decide(AGAINST, Gate()).reason == (
        "accuracy 0.93 against 0.9: better by 0.03 (0.01 to 0.05), which is above 0 at 95%"
    )
    worse = Paired("rmse", 3.0, 3.5, -0.5, -0.9, -0.1, 100)
    assert decide(replace(AGAINST, metric="rmse", paired=worse), Gate()).reason == (
        "rmse 3.5 against 3: worse by 0.5 (0.1 to 0.9), which is not above 0 at 95%"
    )


def test_a_guard_that_gets_clearly_worse_refuses() -> None:
    """Within noise it may fall; clearly it may not; unknown is not passed over."""
    gate = Gate(guard="mcc")
    worse = Paired("mcc", 0.8, 0.7, -0.1, -0.15, -0.05, 1000)
    noise = Paired("mcc", 0.8, 0.79, -0.01, -0.05, 0.03, 1000)
    assert not decide(replace(AGAINST, guarded=worse), gate).is_promoted
    assert "mcc 0.7 against 0.8" in decide(replace(AGAINST, guarded=worse), gate).reason
    assert decide(replace(AGAINST, guarded=noise), gate).is_promoted
    assert not decide(AGAINST, gate).is_promoted


def test_a_leak_refuses_unless_somebody_says_otherwise() -> None:
    """Also where there is no champion: such a score is none."""
    leaky = replace(AGAINST, champion=None, paired=None, leaks=("duration is the target",))
    assert "duration is the target" in decide(leaky, Gate()).reason
    assert not decide(leaky, Gate()).is_promoted
    assert decide(leaky, Gate(allow_leak=True)).is_promoted


def test_what_a_person_took_back_stays_so() -> None:
    """A run of the same chain again does not bring it back."""
    back = replace(AGAINST, withdrawn="by ada on 2026-11-28: late trains")
    assert not decide(back, Gate()).is_promoted
    assert "taken back by ada" in decide(back, Gate()).reason


def test_a_champion_that_cannot_be_scored_stays() -> None:
    """What cannot be compared is for a person to decide."""
    blind = replace(AGAINST, paired=None, obstacle="column x is missing")
    assert not decide(blind, Gate()).is_promoted
    assert "column x is missing" in decide(blind, Gate()).reason


def test_the_champion_itself_stays_champion() -> None:
    """A chain that is run again finds its model in its place, whatever the margin."""
    same = replace(AGAINST, champion=2, paired=None)
    assert decide(same, Gate(margin=1)).is_promoted


@pytest.mark.parametrize(
    "wrong",
    [{"margin": -1}, {"confidence": 0.3}, {"metric": "accurcy"}, {"guard": "x"}, {"what": 1}],
)
def test_a_gate_refuses_what_it_does_not_know(wrong: dict[str, object]) -> None:
    """Its parameters are typed."""
    with pytest.raises(ValidationError):
        Gate.model_validate(wrong)


def test_a_gate_is_json() -> None:
    """It stands in the log as it was."""
    gate = Gate(metric="rmse", floor=3)
    assert Gate.model_validate(json.loads(gate.model_dump_json())) == gate


def _equal(seed: int, n_rows: int, gain: float = 0.0) -> tuple[np.ndarray, Answer, Answer]:
    """Truth, and two models that err alike, each by noise of its own; the second less by `gain`."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=n_rows)
    common = random.normal(size=n_rows)
    own = [random.normal(size=n_rows) for _ in range(2)]
    errors = [common + own[0], (1 - gain) * (common + own[1])]
    first, second = (Answer(truth + one) for one in errors)
    return truth, first, second


def _promoted(
    metric: str, n_pairs: int, n_rows: int, gain: float = 0.0, n_resamples: int = N_RESAMPLES
) -> int:
    """How many challengers of so many the gate lets through."""
    n_promoted = 0
    for seed in range(n_pairs):
        truth, first, second = _equal(seed, n_rows, gain)
        kind = Kind.REGRESSION
        if metric != "rmse":
            kind, truth = Kind.CLASSIFICATION, (truth > 0).astype(int)
            first, second = (_classes(one) for one in (first, second))
        name = Metric(metric)
        found = paired(kind, [name], truth, first, second, n_resamples=n_resamples, seed=seed)
        evidence = replace(AGAINST, metric=metric, paired=found[name])
        n_promoted += decide(evidence, Gate()).is_promoted
    return n_promoted


def _classes(answer: Answer) -> Answer:
    share = 1 / (1 + np.exp(-answer.output))
    return Answer(np.column_stack([1 - share, share]), (0, 1))


def test_noise_seldom_passes_and_a_better_model_does() -> None:
    """Of 40 pairs of equal models at most 5 pass; of 20 much better ones at least 18."""
    assert _promoted("rmse", 40, 300, n_resamples=200) <= 5
    assert _promoted("rmse", 20, 300, gain=0.25, n_resamples=200) >= 18


@pytest.mark.long  # 500 pairs of each; the test above holds it of 40
@pytest.mark.parametrize(("metric", "n_rows"), [("rmse", 300), ("accuracy", 300), ("log_loss", 60)])
def test_noise_passes_at_most_as_often_as_is_stated(metric: str, n_rows: int) -> None:
    """Of 500 pairs of equal models at most 5 % pass: it takes the upper half of a 95 % interval."""
    assert _promoted(metric, 500, n_rows) <= 25


@pytest.mark.long
def test_a_better_model_passes_as_often_as_is_stated() -> None:
    """An error a fifth smaller on 300 rows passes nineteen times of twenty."""
    assert _promoted("rmse", 500, 300, gain=0.2) >= 475
