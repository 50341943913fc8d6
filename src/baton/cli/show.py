"""What the command prints: the live stage table, the results, the lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from baton import models, problems
from baton.terms import Options
from baton.words.spans import brief
from baton.words.text import counted, elide, number

if TYPE_CHECKING:
    from collections.abc import Callable

    from baton.chain.arrivals import Arrival
    from baton.chain.decisions import Decision
    from baton.chain.runs import ChainRun, Json, StageRun
    from baton.chain.status import Status
    from baton.showing.compared import Compared
    from tasks.explaining import ExplainedRow
    from tasks.platform.tracking import Registered

_SHOWN_COLUMNS = 20
_SHOWN_CANDIDATES = 5

COLOURS = {
    "WAITING": "dim",
    "SCHEDULED": "yellow",
    "PENDING": "yellow",
    "RUNNING": "cyan",
    "COMPLETED": "green",
    "FAILED": "red",
    "CRASHED": "red",
    "CANCELLED": "magenta",
}
"""Of the states of a run."""

_COLUMNS = 8
"""Columns of a table of predictions that a terminal has room for."""


def stage_table(chain: ChainRun) -> Table:
    """Table of a chain's stages."""
    table = Table(title=f"chain {chain.id} · {chain.problem}", title_justify="left")
    table.add_column("stage")
    table.add_column("state")
    table.add_column("hop, s", justify="right")
    table.add_column("time, s", justify="right")
    now = datetime.now(UTC)
    for run in chain.stages:
        table.add_row(
            run.stage.value,
            f"[{COLOURS.get(run.state, 'dim')}]{_state_of(run)}[/]",
            _seconds(run.hop_seconds),
            _seconds(run.seconds(now)),
            *([ProgressBar(total=100, completed=run.percent or 0)] if run.percent else []),
        )
    for run in chain.stages:
        table.caption = escape(run.progress) if run.progress else table.caption
    return table


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


@contextmanager
def live(console: Console) -> Iterator[Callable[[ChainRun], None]]:
    """Show a chain while it runs: a live table on a terminal, else a line for each change."""
    if not console.is_terminal:
        told: set[tuple[str, str]] = set()
        yield lambda chain: _tell_changes(console, chain, told)
        return
    with Live(console=console, refresh_per_second=8, transient=True) as view:
        yield lambda chain: view.update(stage_table(chain))


def _tell_changes(console: Console, chain: ChainRun, told: set[tuple[str, str]]) -> None:
    for run in chain.stages:
        if run.state == "RUNNING" or run.state not in {"WAITING", "SCHEDULED", "PENDING"}:
            tenth = "" if not run.progress else f"{(run.percent or 0) // 10}"
            line = (run.stage.value, f"{_state_of(run)}{tenth}")
            if line not in told:
                told.add(line)
                said = f" ({run.progress})" if run.progress else ""
                console.print(f"{line[0]}: {_state_of(run)}{said}", highlight=False, markup=False)


def _state_of(run: StageRun) -> str:
    return "cached" if run.is_cached else run.state.lower()


def outcome(console: Console, chain: ChainRun, made: Json, pages: dict[str, str]) -> None:
    """Print how a chain ended and where everything is."""
    console.print(stage_table(chain))
    if made["title"]:
        console.print(made["title"], style="bold", highlight=False, markup=False, soft_wrap=True)
    if made["columns"]:
        console.print(_columns(made["columns"]))
    for one in made["warnings"]:
        _warn(console, one["kind"], one["message"])
    if made.get("first_rows"):
        console.print(_first_rows(made))
        _say(console, "doubtful cells", f"{made['n_doubts']:,}")
    _judgement(console, made)
    if made["drivers"]:
        _say(console, "strongest drivers", _drivers(made["drivers"], made["drivers_unit"]))
    if made["summary"]:
        console.print(made["summary"], highlight=False, markup=False)
    if made.get("search"):
        _say(console, "best hyperparameters", _best(made["search"]))
    if made["model"]:
        _model(console, made["model"], made["decision"])
    _drift(console, made["drift"])
    others = {name: made.get(name) for name in ("answers", "report", "notebook")}
    places = made["results"] | others | pages
    for name, place in places.items():
        if place:
            _say(console, name, place)


def _model(console: Console, model: Json, decision: Json | None) -> None:
    """Print which version it is, and whether it is the champion."""
    _say(console, "model", f"{model['uri']} (MLflow run {model['run_id']})")
    if decision:
        said = "promoted" if decision["promoted"] else "not promoted"
        _say(console, said, decision["reason"])


def _drift(console: Console, drift: Json | None) -> None:
    """Print whether new rows are like those that the model knows, and what is begun by it."""
    if drift is None:
        return
    is_drifted = drift["announced"] or drift["held_back"]
    _say(console, "drift" if is_drifted else "no drift", drift["reason"])
    if drift["held_back"]:
        _say(console, "not announced", drift["held_back"])
    if drift["begins"]:
        _say(console, "begins", f"chain {drift['begins']}")
    if drift["page"]:
        _say(console, "drift page", drift["page"])


def _judgement(console: Console, made: Json) -> None:
    """Print how good the model is, by what it was chosen, and what its answers keep to."""
    if made["metrics"]:
        ordered = first(made["metrics"], made.get("headline"))
        console.print(_metrics(ordered, made["intervals"], made["baseline"]))
    if held := made.get("coverage"):
        _say(console, "intervals", _coverage(held))
    if chosen := made.get("threshold"):
        _say(console, "threshold", _threshold(chosen))
    if made["leaderboard"]:
        console.print(_leaderboard(made["leaderboard"]))


def _first_rows(made: Json) -> Table:
    """First rows of a prediction: the answer, and what there is room for of the row."""
    rows = made["first_rows"]
    table = Table(
        title=f"first {len(rows)} of {counted(made['n_rows'], 'row')} predicted",
        title_justify="left",
    )
    shown = list(rows[0])[:_COLUMNS]
    for name in shown:
        table.add_column(escape(elide(name)))
    for row in rows:
        table.add_row(*(escape(_cell(row[name])) for name in shown))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else elide(value)


def _metrics(
    values: Json, intervals: Json, baseline: Json, title: str = "metrics on held-out rows"
) -> Table:
    """Metrics beside those of a model that ignores every column."""
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    for heading in ("value", "95 % interval", *(["baseline"] if baseline else [])):
        table.add_column(heading, justify="right")
    for name, value in values.items():
        low, high = intervals.get(name, (None, None))
        within = "" if low is None else f"{low:.4g} to {high:.4g}"
        beside = f"{baseline[name]:.4g}" if name in baseline else ""
        table.add_row(name, f"{value:.4g}", within, *([beside] if baseline else []))
    return table


def _columns(lines: list[Json]) -> Table:
    """What each column was taken for, the first of many."""
    table = Table(title="columns, as they were read", title_justify="left")
    for heading in ("column", "role", "examples"):
        table.add_column(heading)
    table.add_column("missing", justify="right")
    table.add_column("what was done with it")
    for line in lines[:_SHOWN_COLUMNS]:
        missing = f"{line['missing']:,}" if line["missing"] else ""
        name = elide(line["name"])
        cells = (name, line["role"], line["examples"], missing, elide(line["done"], 80))
        table.add_row(*map(escape, cells))
    if len(lines) > _SHOWN_COLUMNS:
        table.caption = f"and {len(lines) - _SHOWN_COLUMNS} more"
    return table


def _leaderboard(lines: list[Json]) -> Table:
    """The first few candidates, and what answers."""
    hidden = [one for one in lines[_SHOWN_CANDIDATES:] if not one["weight"]]
    caption = f"and {len(hidden)} more" if hidden else ""
    table = Table(title="leaderboard, out of fold", title_justify="left", caption=caption)
    table.add_column("candidate")
    for heading in (
        lines[0]["metric"],
        "95 % interval",
        "behind",
        "fit, s",
        "rows/s",
        "kB",
        "weight",
    ):
        table.add_column(heading, justify="right")
    for one in lines:
        if one not in hidden:
            table.add_row(*map(escape, _candidate(one)))
    return table


def _candidate(one: Json) -> tuple[str, ...]:
    """Cells of a line; what is behind by no more than noise is in brackets."""
    behind = "" if not one["behind"] else f"{one['behind']:.3g}"
    return (
        one["candidate"],
        "" if one["score"] is None else f"{one['score']:.4g}",
        "" if one["low"] is None else f"{one['low']:.4g} to {one['high']:.4g}",
        behind if one["is_behind"] or not behind else f"({behind})",
        f"{one['fit_seconds']:.2g}",
        f"{one['rows_per_second']:,.0f}",
        f"{one['n_bytes'] / 1000:,.0f}",
        f"{one['weight']:.2f}" if one["weight"] else "",
    )


def _drivers(drivers: Json, unit: str) -> str:
    """Columns, strongest first, with their mean |Shapley value| as the report has it."""
    said = ", ".join(f"{name} {number(value)}" for name, value in drivers.items())
    return f"{said} (mean |SHAP value|{f', in {unit}' if unit else ''})"


def first(values: Json, headline: str | None) -> Json:
    """Metrics with the one that decides before the others."""
    return {name: values[name] for name in sorted(values, key=lambda name: name != headline)}


def _coverage(held: Json) -> str:
    """What the intervals of predicted numbers hold."""
    level, share = held["level"], held["held_out"]
    return (
        f"of {level:.0%} hold {share:.1%} of the held-out rows, {held['width']:.4g} wide on average"
    )


def _threshold(chosen: Json) -> str:
    """From when on a row is said to be positive, and what that does."""
    rates = [f"{name} {chosen[name]:.3g}" for name in ("precision", "recall") if chosen[name]]
    said = f"{chosen['positive']} from {chosen['value']:.3g} on ({chosen['goal']})"
    return ", ".join([said, *rates])


def _warn(console: Console, kind: str, message: str) -> None:
    said = f"[yellow]{'warning':>14}[/] [bold]{escape(kind)}[/]: {escape(message)}"
    console.print(said, soft_wrap=True, highlight=False)


def _best(search: Json) -> str:
    if error := search.get("error"):
        return str(error)
    best = search["best"]
    words = ", ".join(f"{name}={value}" for name, value in best["params"].items())
    return f"trial {best['trial']} of {search['n_trials']}: {words or 'defaults'}"


def _say(console: Console, name: str, text: str) -> None:
    console.print(f"{name:>22}  {escape(text)}", soft_wrap=True, highlight=False)


def problem_list(console: Console) -> None:
    """Print the registered problems, and the families of models that each may be learnt by."""
    table = Table()
    table.add_column("problem")
    table.add_column("what it is")
    found, refused = problems.loaded()
    for name, problem in found.items():
        table.add_row(name, problem.summary)
    console.print(table)
    families, left_out = models.loaded()
    _say_families(console, families)
    for said in [*refused, *left_out]:
        console.print(f"left out: {said}", style="yellow", markup=False, soft_wrap=True)
    console.print("`baton problems NAME` lists the parameters of one.", highlight=False)


def _say_families(console: Console, names: Iterable[str]) -> None:
    """Say by which names a model is asked for, and which package brings it, if Baton does not."""
    told = [
        f"{name} (of {' '.join(package)})" if (package := models.package_of(name)) else name
        for name in sorted(names)
    ]
    said = f"models, for -p model=NAME: {', '.join(told)}"
    console.print(said, markup=False, highlight=False, soft_wrap=True)


def problem_details(console: Console, name: str) -> None:
    """Print the parameters of one problem."""
    problem = problems.get(name)
    console.print(f"{name}: {problem.summary}", highlight=False)
    table = Table()
    for heading in ("parameter", "default", "what it is"):
        table.add_column(heading)
    for key, info in (problem.params.model_fields | Options.model_fields).items():
        default = "(required)" if info.is_required() else _default(info.default)
        table.add_row(f"-p {key}=", escape(default), info.description or "")
    console.print(table)
    _say_families(console, models.names())


def _default(value: Any) -> str:
    return "" if value is None else str(value)


def model_facts(model: Registered) -> Json:
    """What is said of a registered model, ready for JSON."""
    return {
        "problem": model.problem,
        "name": model.short or None,
        "registered": model.name,
        "target": model.target or None,
        "version": model.version,
        "champion": model.champion,
        "updated": model.updated.isoformat(timespec="seconds"),
    }


def model_list(console: Console, models: list[Registered], place: str) -> None:
    """Print a line for each registered model, or that there is none in the place looked in."""
    headings = ("problem", "name", "predicts", "newest", "champion", "registered as")
    lines = [
        (m.problem, m.short, m.target, str(m.version), str(m.champion or ""), m.name)
        for m in models
    ]
    none = f"no models yet {place}; `baton run spheres` trains one"
    _list(console, headings, [[escape(cell) for cell in line] for line in lines], none)


def decision_facts(one: Decision) -> Json:
    """What is said of a decision, ready for JSON."""
    hidden = {"model", "evidence", "gate", "decided_for", "value_low", "value_high"}
    return one.model_dump(mode="json", exclude=hidden) | {"interval": _interval_of(one)}


def champion_facts(one: Decision) -> Json:
    """What is said of a champion, ready for JSON."""
    said = one.model_dump(mode="json", include={"at", "by", "reason", "metric", "value"})
    return {"version": one.champion, **said, "interval": _interval_of(one)}


def _interval_of(one: Decision) -> list[float | None] | None:
    return None if one.value_low is None else [one.value_low, one.value_high]


def labelled(console: Console, made: Json) -> None:
    """Print how well a model did on rows whose labels have come."""
    joined = f"{made['n_joined']:,} of {counted(made['n_labels'], 'label')}"
    _say(console, "labels joined", f"{joined}, to predictions of version {made['version']}")
    title = "metrics on labelled rows"
    console.print(_metrics(made["metrics"], made["intervals"], {}, title))
    _say(console, "worse" if made["worse"] else "not worse", made["reason"])
    if made["held_back"]:
        _say(console, "not announced", made["held_back"])
    if made["begins"]:
        _say(console, "begins", f"chain {made['begins']}")


def demo_end(console: Console, state: str, champions: list[Json], home: Path) -> None:
    """Print how the loop ended, and who was the champion when."""
    table = Table(title="champions of spheres", title_justify="left")
    for heading in ("version", "accuracy", "why"):
        table.add_column(heading)
    for one in champions:
        value = "" if one["value"] is None else f"{one['value']:.4g}"
        table.add_row(str(one["version"]), value, escape(one["reason"]))
    console.print(table)
    closed = "the loop closed" if state == "COMPLETED" else "the loop did not close"
    _say(console, closed, f"its home is {home}: BATON_HOME={home} baton up shows its pages")


def decision_list(
    console: Console, name: str, known: Sequence[Decision], champion: int | None
) -> None:
    """Print a line for each decision about a model, and which version is the champion."""
    headings = ("when", "decided", "version", "champion", "score", "by", "why")
    lines = [
        (
            f"{one.at.astimezone():%Y-%m-%d %H:%M}",
            one.outcome.value,
            str(one.version),
            str(one.champion or ""),
            _score_of(one),
            escape(one.by),
            escape(one.reason),
        )
        for one in known
    ]
    _list(console, headings, lines, f"nothing was decided about {name} yet")
    said = f"version {champion} of {name} is the champion" if champion else f"{name} has none"
    if known and known[-1].champion != champion:
        said += ": moved in MLflow since the last decision"
    console.print(said, highlight=False, markup=False, soft_wrap=True)


def _score_of(one: Decision) -> str:
    if one.value is None:
        return ""
    low, high = one.value_low, one.value_high
    within = "" if low is None or high is None else f" ({number(low)} to {number(high)})"
    return f"{one.metric} {number(one.value)}{within}"


def arrival_list(console: Console, known: Sequence[Arrival], home: str) -> None:
    """Print a line for each arrival, or that nothing has arrived."""
    headings = ("", "when", "problem", "what", "key", "begins", "chain", "state")
    lines = [
        (
            str(one.number),
            f"{one.at.astimezone():%Y-%m-%d %H:%M:%S}",
            one.problem,
            escape(one.source),
            escape(one.key),
            one.begins if one.event else "",
            one.chain if one.event else "",
            escape(_state_of_arrival(one)),
        )
        for one in known
    ]
    none = f"nothing has arrived in {home}; `baton announce` and prefect.yaml's watch begin it"
    _list(console, headings, lines, none)


def _state_of_arrival(one: Arrival) -> str:
    again = f"repeated {counted(one.repeated, 'time')}" if one.repeated else ""
    reason = f"{one.state.value}: {one.reason}" if one.reason else one.state.value
    return ", ".join(filter(None, ["late" if one.is_late else "", again, reason]))


def chain_list(console: Console, seen: Sequence[Status], now: datetime, place: str) -> None:
    """Print a line for each chain, or that there is none in the place looked in."""
    lines = [
        (
            "\n".join([one.chain.id, *(f"[dim]{part}[/]" for part in _when(one, now))]),
            escape(f"{one.chain.problem}: {one.title}" if one.target else one.title),
            escape("\n".join(filter(None, [one.family, _version_of(one), _score_of_chain(one)]))),
            _state_and_wait(one, now),
        )
        for one in seen
    ]
    none = f"no chains yet {place}; `baton run spheres` starts one"
    _list(console, ("chain", "what", "model, score", "state"), lines, none)


def chain_facts(console: Console, seen: Status, now: datetime) -> None:
    """Print when a chain began, and what it waits for."""
    _say(console, "began", ", ".join(_when(seen, now)))
    if wait := seen.waits_for(now):
        _say(console, "now", wait.said(seen.chain.id, now))


def _when(seen: Status, now: datetime) -> tuple[str, str]:
    """How long ago a chain began, and when."""
    return f"{brief(now - seen.began)} ago", f"{seen.began.astimezone():%Y-%m-%d %H:%M:%S}"


def _version_of(seen: Status) -> str:
    name = str(seen.model.get("name", "")).removeprefix("baton-")
    return f"{name} version {seen.model['version']}" if name else ""


def _score_of_chain(seen: Status) -> str:
    """Score of the metric that decides, with its interval."""
    if seen.value is None:
        return ""
    within = f" ({number(seen.interval[0])} to {number(seen.interval[1])})" if seen.interval else ""
    return f"{seen.metric} {number(seen.value)}{within}"


def _state_and_wait(seen: Status, now: datetime) -> str:
    """State of a chain in words: what came of it, why it failed, or what it waits for."""
    chain, wait = seen.chain, seen.waits_for(now)
    colour = COLOURS.get(chain.state, "yellow")
    if wait:
        said = wait.said(chain.id, now)
    elif chain.failure:
        said = elide(f"{chain.state.lower()}: {chain.input_error or chain.failure}", 120)
    else:
        said = ", ".join(filter(None, [chain.state.lower(), seen.decided]))
    return f"[{colour}]{escape(said)}[/]"


def _list(
    console: Console, headings: Sequence[str], lines: Sequence[Sequence[str]], none: str
) -> None:
    """Print a table, or in one line that it would be empty."""
    if not lines:
        console.print(none, highlight=False, markup=False, soft_wrap=True)
        return
    table = Table()
    for heading in headings:  # nothing is cut off; an id is copied whole
        table.add_column(heading, overflow="fold", no_wrap=heading == "chain")
    for line in lines:
        table.add_row(*line)
    console.print(table)


def compared(console: Console, found: Compared) -> None:
    """Print two chains side by side."""
    for name, one in (("A", found.a), ("B", found.b)):
        said = f"{name}  {one.title}, chain {one.id}, {one.model}"
        console.print(said, highlight=False, markup=False, soft_wrap=True)
    choices = Table(title="what differs", title_justify="left")
    for heading in ("of", "", "A", "B"):
        choices.add_column(heading, overflow="fold")
    for choice in found.choice_lines():
        choices.add_row(*map(escape, choice))
    if found.choices:
        console.print(choices)
    metrics = Table(title="metrics on held-out rows, with 95 % intervals", title_justify="left")
    for heading in ("metric", "A", "B", *([] if found.apart else ["B less A", ""])):
        metrics.add_column(heading)
    for line in found.lines():
        metrics.add_row(*line[: len(metrics.columns)])
    console.print(metrics)
    console.print(found.summary, highlight=False, markup=False)


def waterfall(console: Console, row: ExplainedRow) -> None:
    """Print what drove the prediction of one row, the strongest first."""
    said = f"row {row.row}: predicted {row.predicted}, actual {row.actual}"
    console.print(said, highlight=False, markup=False)
    table = Table(title=escape(row.title), title_justify="left")
    for heading in ("feature", "value"):
        table.add_column(heading)
    table.add_column("pushes by", justify="right")
    table.add_column("")
    most = max((abs(push) for _, _, push in row.pushes), default=0.0) or 1.0
    table.add_row("base value", "", f"{row.base:+.4g}", "")
    for name, value, push in row.pushes:
        bar = "█" * round(20 * abs(push) / most)
        colour = "red" if push > 0 else "blue"
        table.add_row(escape(name), escape(value), f"{push:+.4g}", f"[{colour}]{bar}[/]")
    table.add_row("sum", "", f"{row.base + sum(push for *_, push in row.pushes):+.4g}", "")
    console.print(table)
