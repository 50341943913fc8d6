"""What is known of registered models: champions, decisions, scores, looks for drift.

Joined of what MLflow says, which the clerk is asked for, and of the logs in the home. How it is
shown belongs in ``models``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from baton.chain import decisions, looks, records, stored
from baton.chain.decisions import Decision
from baton.chain.events import ModelEvaluated, ModelRef, TableRef, registered_name
from baton.chain.looks import Look
from baton.errors import InputError
from baton.settings import Settings
from baton.stores import shelf
from serving.pages.desk import Desk
from serving.pages.telling import result_path, table_path
from tasks.platform.api import ApiError

CHAMPION, PREVIOUS = "champion", "previous"

Range = tuple[float, float]


@dataclass(frozen=True)
class Score:
    """A metric's value."""

    metric: str
    value: float
    interval: Range | None = None


@dataclass(frozen=True)
class Model:
    """A registered model, as the list has it."""

    name: str
    """In MLflow's registry."""
    problem: str
    target: str
    version: int
    """The newest."""
    champion: int | None
    since: datetime | None
    """Since when it is the champion; None if it was moved in MLflow."""
    score: Score | None
    """The champion's."""
    look: Look | None
    """The last one for drift."""

    @property
    def short(self) -> str:
        """Name among the problem's models; the problem's where there is but one."""
        return short_name(self.name, self.problem)


def short_name(name: str, problem: str) -> str:
    """Name of a registered model among its problem's; the problem's where there is but one.

    Examples
    --------
    >>> short_name("baton-iris", "iris"), short_name("baton-table-wine", "table")
    ('iris', 'wine')
    """
    return name.removeprefix(registered_name(problem)).removeprefix("-") or problem


@dataclass(frozen=True)
class Version:
    """A version of a registered model."""

    reference: ModelRef
    made: datetime
    aliases: tuple[str, ...]
    evaluated: ModelEvaluated | None
    """What the chain of this home announced that made it."""
    decision: Decision | None
    """The last one about it."""
    score: Score | None
    """Value of the metric that decides, on the rows held out."""

    @property
    def number(self) -> int:
        """Version in the registry."""
        return self.reference.version


@dataclass(frozen=True)
class Board:
    """How a model was found: what was compared, or searched."""

    candidates: tuple[dict[str, Any], ...] = ()
    """Lines of the leaderboard."""
    path: str = ""
    """Path of the page of its table, or of the trials; empty if it is not in this home."""
    n_trials: int = 0
    best: Mapping[str, Any] | None = None
    """Hyperparameters that a search has found."""


@dataclass(frozen=True)
class Known:
    """All that is known of a registered model."""

    model: Model
    versions: tuple[Version, ...]
    decisions: tuple[Decision, ...]
    """The newest first."""
    looks: tuple[Look, ...]
    """The newest first."""
    board: Board | None
    previous: int | None

    @property
    def champion(self) -> Version | None:
        """The version that answers."""
        return self.version(self.model.champion)

    def version(self, number: int | None) -> Version | None:
        """Version of a number, if there is one."""
        return next((one for one in self.versions if one.number == number), None)

    @property
    def is_moved(self) -> bool:
        """Whether the champion was moved in MLflow since the last decision."""
        last = self.decisions[0].champion if self.decisions else None
        return last != self.model.champion


def every(desk: Desk) -> list[Model]:
    """What is registered, by problem and name."""
    found = [_model(desk.settings, one) for one in desk.clerk.ask("models")]
    return sorted(found, key=lambda one: (one.problem, one.name))


def find(desk: Desk, name: str) -> Known | None:
    """All that is known of a registered model; None if there is no such."""
    named = [one for one in desk.clerk.ask("models") if one["name"] == name]
    if not named:
        return None
    told, log = desk.clerk.ask("versions", name=name), decisions.read(desk.settings, name)
    made = _made(desk.settings, named[0]["problem"])
    versions = tuple(_version(one, told["aliases"], made, log) for one in told["versions"])
    known = Known(
        _model(desk.settings, named[0]),
        versions,
        tuple(reversed(log)),
        tuple(reversed(looks.read(desk.settings, name))),
        None,
        told["aliases"].get(PREVIOUS),
    )
    champion = known.champion
    board = board_of(desk.settings, champion.evaluated) if champion and champion.evaluated else None
    return Known(**{**vars(known), "board": board})


def _model(settings: Settings, told: Mapping[str, Any]) -> Model:
    name, number = told["name"], told["champion"]
    log, seen = decisions.read(settings, name), looks.read(settings, name)
    facts = {one: told[one] for one in ("name", "problem", "target", "version", "champion")}
    made = _made(settings, told["problem"])
    evaluated = next((v for k, v in made.items() if (k.name, k.version) == (name, number)), None)
    return Model(
        **facts,
        since=beginning_of(number, log),
        score=score_of(evaluated, log, number),
        look=seen[-1] if seen else None,
    )


def _made(settings: Settings, problem: str) -> dict[ModelRef, ModelEvaluated]:
    """What the chains of this home announced, by the version that each has made."""
    return {one.model: one for one in records.of_problem(settings, problem)}


def _version(
    told: Mapping[str, Any],
    aliases: Mapping[str, int],
    made: Mapping[ModelRef, ModelEvaluated],
    log: Sequence[Decision],
) -> Version:
    reference = ModelRef.model_validate({k: v for k, v in told.items() if k != "made"})
    own = tuple(sorted(alias for alias, number in aliases.items() if number == reference.version))
    when = datetime.fromisoformat(told["made"])
    about = _last_about(reference.version, log)
    evaluated = made.get(reference)
    score = score_of(evaluated, log, reference.version)
    return Version(reference, when, own, evaluated, about, score)


def _last_about(version: int | None, log: Iterable[Decision]) -> Decision | None:
    """Last decision about a version."""
    found = None
    for one in log:
        found = one if version is not None and one.version == version else found
    return found


def score_of(
    evaluated: ModelEvaluated | None, log: Sequence[Decision], version: int | None
) -> Score | None:
    """Value of the metric that decides: as a version's chain announced it, or as the log has it."""
    if evaluated and (value := evaluated.scores.get(evaluated.data.headline)) is not None:
        headline = evaluated.data.headline
        return Score(headline, value, evaluated.intervals.get(headline))
    found = decisions.scored(tuple(log), version) if version else {}
    if not found:
        return None
    low, high = found["value_low"], found["value_high"]
    return Score(found["metric"], found["value"], None if low is None else (low, high))


def beginning_of(champion: int | None, log: Sequence[Decision]) -> datetime | None:
    """When a version became the champion that it is; None if the log does not say so."""
    found = None
    for one in reversed(log):
        if champion is None or one.champion != champion:
            break
        found = one.at
    return found


def board_of(settings: Settings, evaluated: ModelEvaluated) -> Board | None:
    """How a model was found; None where nothing was compared or searched."""
    study = evaluated.data.study
    if evaluated.leaderboard:
        lines, path = _lines(settings.results, evaluated.leaderboard)
        return Board(candidates=tuple(lines), path=path)
    if study is None:
        return None
    best = None
    with suppress(InputError):
        best = stored.lineage(settings.results, study).get("params")
    return Board(path=_page_of(settings.results, study), n_trials=study.n_rows, best=best)


def _lines(results: Path, table: TableRef) -> tuple[list[dict[str, Any]], str]:
    if not (path := _page_of(results, table)):
        return [], ""
    with suppress(InputError):
        return stored.read_table(results, table).to_pylist(), path
    return [], path


def _page_of(results: Path, table: TableRef) -> str:
    return table_path(table.key) if stored.is_there(results, table) else ""


def drift_page(settings: Settings, look: Look | None) -> str:
    """Path of the page of a look; empty if there is none in this home."""
    if look is None or not look.page or not shelf.take(settings.results / look.page).is_file():
        return ""
    return result_path(look.page)


def waiting(desk: Desk, name: str) -> list[str]:
    """Ids of chains whose version waits for a person's approval; none if nobody can say."""
    try:
        paused = [one.chain_id for one in desk.server.paused()]
    except ApiError:
        return []
    found = []
    for one in paused:
        with suppress(InputError, OSError):
            if records.find(desk.settings, chain_id=one).model.name == name:
                found.append(one)
    return found
