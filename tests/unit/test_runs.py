"""What is known of a chain by what a server said of its runs and events."""

import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from baton import selection
from baton.chain import manifest, outcome, runs
from baton.chain.events import Stage, TableRef
from baton.cli import show
from baton.cli.following import Queue, Silence
from baton.lineage import with_lineage
from baton.showing.columns import ColumnLine
from baton.showing.columns import as_table as as_columns
from baton.warning import DataWarning, WarningKind, as_table
from tests.conftest import ROOT

RECORDED = json.loads((ROOT / "tests/data/chain/recorded.json").read_text("utf-8"))
FLOWS, RUNS = RECORDED["flows"], RECORDED["runs"]
EVENTS = RECORDED["events"][::-1]
CHAIN = manifest.read(ROOT / "prefect.yaml")
SEARCHED, REFUSED = "dba479b32421", "ff9a69bed202"
STAGES = ["generate", "tune", "train", "evaluate", "promote"]


def _run(stage, chain_id=SEARCHED):
    return runs.of_chain(chain_id, RUNS, FLOWS)[Stage(stage)][0]


def _chain(chain_id=SEARCHED, problem="spheres", stages=STAGES):
    found = runs.of_chain(chain_id, RUNS, FLOWS)
    seen = [runs.stage_run(Stage(name), found.get(Stage(name), [])) for name in stages]
    return runs.ChainRun(chain_id, problem, tuple(seen))


def test_a_run_belongs_to_the_chain_of_its_tag_its_payload_or_the_one_it_begins():
    """In that order: one that waits to start has no tag yet, the first of all no payload."""
    run = _run("train")
    assert runs.chain_id_of_run(run) == SEARCHED
    assert runs.chain_id_of_run(run | {"tags": ["baton"]}) == SEARCHED
    assert runs.chain_id_of_run(run | {"tags": [], "parameters": {}}) == "3e00e1d9eabd"
    assert runs.chain_id_of(["baton"], {"problem": "spheres"}) == ""


def test_runs_are_those_of_one_chain_by_stage():
    """Each once, though it is found by its tag and by its time."""
    found = runs.of_chain(SEARCHED, RUNS + RUNS, FLOWS)
    assert {stage.value: len(mine) for stage, mine in found.items()} == dict.fromkeys(STAGES, 1)


def test_the_latest_chains_are_told_by_their_first_runs():
    """With problem, first stage and labels; what is only planned is no chain yet."""
    searched, refused = runs.latest(RUNS, FLOWS)
    assert (searched.chain_id, searched.problem) == (SEARCHED, "spheres")
    assert (searched.stage, searched.labels["baton.tune"]) == (Stage.GENERATE, "yes")
    assert (refused.chain_id, refused.problem) == (REFUSED, "table")
    assert searched.since == datetime.fromisoformat(_run("generate")["created"])
    assert CHAIN.stages(searched.stage, searched.labels) == [Stage(name) for name in STAGES]


def test_chains_are_found_by_the_first_digits_of_their_id():
    """Any number of them; without digits, the latest twenty."""
    assert [one.chain_id for one in runs.latest(RUNS, FLOWS, "ff9")] == [REFUSED]
    assert runs.latest(RUNS, FLOWS, "zzz") == []
    many = [_run("generate") | {"tags": [f"chain:{n:012x}"]} for n in range(30)]
    assert len(runs.latest(many, FLOWS)) == 20
    assert len(runs.latest(many, FLOWS, "0")) == 30


def test_a_chain_is_known_by_its_first_run_before_that_is_taken():
    """Its page is asked for as soon as it is ordered; a schedule's next run is no chain yet."""
    ordered = _run("generate") | {"state_type": "SCHEDULED", "tags": ["baton"]}
    begun = runs.begun([ordered, *RUNS], FLOWS, runs.id_begun_by(ordered["id"]))
    assert (begun.problem, begun.stage) == ("spheres", Stage.GENERATE)
    assert begun.parameters == ordered["parameters"]
    assert runs.begun(RUNS, FLOWS, "0" * 12) is None


def test_the_runs_that_begin_a_chain_are_told_from_those_that_events_started():
    """By hand `train` and `tune` begin one too; each chain is there once."""
    by_event = {"created_by": {"type": "AUTOMATION"}}
    followed = [run if "generate" in FLOWS[run["flow_id"]] else run | by_event for run in RUNS]
    assert [one.chain_id for one in runs.beginning(followed, FLOWS)] == [SEARCHED, REFUSED]
    assert [one.chain_id for one in runs.beginning(followed, FLOWS, [SEARCHED])] == [REFUSED]
    again = _run("train") | {"tags": ["chain:0123456789ab"], "created_by": None}
    assert [one.chain_id for one in runs.beginning([again, again], FLOWS)] == ["0123456789ab"]
    assert runs.beginning([again | by_event, _run("evaluate")], FLOWS) == []


def test_a_stage_is_known_by_its_run():
    """State, id, first line and end; one without a run waits."""
    run = _run("train")
    seen = runs.stage_run(Stage.TRAIN, [run])
    assert (seen.state, seen.flow_run_id, seen.is_cached) == ("COMPLETED", run["id"], False)
    assert seen.began == datetime(2026, 11, 24, 10, 54, 27, 401141, UTC)
    assert seen.seconds(datetime.now(UTC)) == (seen.ended - seen.began).total_seconds() > 0
    assert runs.stage_run(Stage.TRAIN, []) == runs.StageRun(Stage.TRAIN)
    assert runs.stage_run(Stage.TRAIN, [run | {"state_name": "Cached"}]).is_cached


def test_a_chain_that_was_closed_does_not_wait_for_stages_that_came_since():
    """One that is open does, and so does one of which a run failed or goes on."""
    found = runs.of_chain(SEARCHED, RUNS, FLOWS)
    before = {stage: mine for stage, mine in found.items() if stage is not Stage.PROMOTE}
    ways = [Stage(name) for name in STAGES]
    closed = {stage: [run | {"tags": ["baton"]} for run in mine] for stage, mine in before.items()}
    assert runs.stages_with(ways, closed) == ways[:-1]
    assert runs.stages_with(ways, {}) == ways
    for change in ({"tags": ["baton", "open"]}, {"state_type": "RUNNING"}):
        last = closed | {Stage.EVALUATE: [closed[Stage.EVALUATE][0] | change]}
        assert runs.stages_with(ways, last) == ways


def test_a_chain_that_was_skipped_is_over():
    """A scheduled prediction that finds no model: no monitor is to begin, no event to come."""
    done = _run("train")
    said = done["state"] | {"name": "Skipped", "message": "there is no model yet"}
    by_schedule = {"tags": ["auto-scheduled", "open"], "state": said, "state_name": "Skipped"}
    skipped = done | by_schedule
    stages = [Stage.PREDICT, Stage.MONITOR]
    assert runs.stages_with(stages, {Stage.PREDICT: [skipped]}) == [Stage.PREDICT]
    by_hand = {Stage.PREDICT: [skipped | {"state_name": "Completed"}]}
    assert runs.stages_with(stages, by_hand) == stages, "somebody may announce it yet"
    chain = runs.ChainRun("0123", "taxi", (runs.stage_run(Stage.PREDICT, [skipped]),))
    assert chain.state == "COMPLETED"
    assert runs.are_told(chain, set())


def test_of_several_runs_of_a_stage_one_that_completed_counts():
    """Else the last one: a run may have been begun by a repeated event."""
    failed = _run("generate", REFUSED)
    other = failed | {"id": "2", "state_type": "RUNNING"}
    assert runs.stage_run(Stage.TRAIN, [_run("train"), failed]).state == "COMPLETED"
    seen = runs.stage_run(Stage.TRAIN, [failed, other])
    assert (seen.state, seen.flow_run_id, seen.ended) == ("RUNNING", "2", None)


def test_a_run_that_crashed_as_it_was_cancelled_was_cancelled():
    """Its runner may have the last word; nothing begins it again."""
    crashed = _run("train") | {"state_type": "CRASHED"}
    assert runs.stage_run(Stage.TRAIN, [crashed]).state == "CRASHED"
    crashed["labels"] = crashed["labels"] | {runs.CANCELLED_LABEL: "yes"}
    assert runs.stage_run(Stage.TRAIN, [crashed]).state == "CANCELLED"


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (["COMPLETED", "COMPLETED"], "COMPLETED"),
        (["COMPLETED", "WAITING"], "RUNNING"),
        (["COMPLETED", "RUNNING"], "RUNNING"),
        (["COMPLETED", "FAILED"], "FAILED"),
        (["COMPLETED", "CRASHED"], "RUNNING"),
        (["CANCELLED", "WAITING"], "CANCELLED"),
        (["CANCELLED", "FAILED"], "FAILED"),
        (["COMPLETED", "CANCELLING"], "RUNNING"),
    ],
)
def test_a_chain_ends_when_all_stages_completed_or_one_never_will(states, state):
    """Completed, failed or cancelled; a stage that crashed is begun again, or failed then."""
    stages = tuple(runs.StageRun(Stage.TRAIN, state=one) for one in states)
    assert runs.ChainRun(SEARCHED, "spheres", stages).state == state


def test_a_mistake_in_the_input_is_known_by_the_runs_label():
    """Not by the wording of the state's message, and only where the run failed."""
    said = (
        "target 'y' has 3 different values in 3 rows, too many to classify; choose another target"
    )
    chain = _chain(REFUSED, "table", ["generate", "train"])
    assert chain.input_error == said
    assert chain.failure.startswith("stage generate failed: ")
    run = _run("generate", REFUSED)
    worded = run | {"labels": run["labels"] | {runs.INPUT_ERROR_LABEL: ""}}
    assert "InputError: " in worded["state"]["message"]
    assert runs.stage_run(Stage.GENERATE, [worded]).input_error == ""
    again = run | {"state_type": "CRASHED"}
    assert runs.stage_run(Stage.GENERATE, [again]).input_error == ""


def test_events_tell_hops_and_what_was_made():
    """A hop is the time from the event that starts a stage to the stage's first line."""
    chain = _chain()
    names = [event["event"] for event in EVENTS]
    assert runs.are_told(chain, names)
    assert not any(runs.are_told(chain, {*names} - {name}) for name in names)
    told = runs.with_events(chain, EVENTS, CHAIN)
    hops = [run.hop_seconds for run in told.stages]
    assert hops[0] is None
    assert [round(hop, 3) for hop in hops[1:]] == [2.988, 1.554, 1.645, 1.232]
    assert told.evaluated.chain == told.decided.chain == SEARCHED
    assert told.predicted is told.noted is None


def test_an_event_of_another_version_is_no_result():
    """It has fields that this one does not know; the chain is told without what it made."""
    strange = [event | {"payload": event["payload"] | {"new": 1}} for event in EVENTS]
    assert runs.with_events(_chain(), strange, CHAIN).evaluated is None


def test_what_came_of_a_chain_is_one_object(tmp_path):
    """With files under the results folder, and what the table of trials says of the search."""
    chain = runs.with_events(_chain(), EVENTS, CHAIN)
    assert outcome.of_chain(chain, tmp_path)["search"] == {}
    study = chain.evaluated.data.study
    facts = {"study": "s", "best": 1, "metric": "accuracy", "value": 0.9, "params": {"a": 1}}
    (tmp_path / study.key).parent.mkdir(parents=True)
    pq.write_table(with_lineage(pa.table({"n": [1]}), facts), tmp_path / study.key)
    altered = outcome.of_chain(chain, tmp_path)
    assert "SHA-256 differs" in altered["search"]["error"]
    digest = hashlib.sha256((tmp_path / study.key).read_bytes()).hexdigest()
    data = chain.evaluated.data.model_copy(
        update={"study": study.model_copy(update={"digest": digest})}
    )
    evaluated = chain.evaluated.model_copy(update={"data": data})
    made = outcome.of_chain(replace(chain, evaluated=evaluated), tmp_path)
    assert made["search"] == {
        "study": "s",
        "n_trials": 2,
        "best": {"trial": 1, "accuracy": 0.9, "params": {"a": 1}},
    }
    assert made["state"] == "COMPLETED"
    assert made["report"] == str(tmp_path / chain.evaluated.report.key)
    assert {Path(path).stem for path in made["results"].values()} == set(made["results"])
    assert json.loads(json.dumps(made)) == made
    assert "error" not in made


WARNED = [
    DataWarning(WarningKind.LEAK, ("casual", "registered"), "leave out: -p drop=casual,registered"),
    DataWarning(WarningKind.DUPLICATES, (), "3 rows"),
]


def _with_warnings(event, tmp_path):
    """The event with a reference to a table of warnings that stands in the folder."""
    return event.model_copy(update={"warnings": _kept(as_table(WARNED), "warnings", tmp_path)})


def _kept(table, name, folder):
    """Reference to a table that is kept in a folder of results."""
    key = f"spheres/0123456789abcdef/{name}.parquet"
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / key)
    digest = hashlib.sha256((folder / key).read_bytes()).hexdigest()
    return TableRef(key=key, digest=digest, n_rows=table.num_rows)


def test_the_object_of_a_chain_holds_its_warnings(tmp_path):
    """Also those of a chain that failed after its data were made; none of an older Baton's."""
    chain = runs.with_events(_chain(), EVENTS, CHAIN)
    assert outcome.of_chain(chain, tmp_path)["warnings"] == []
    wanted = [one.as_json() for one in WARNED]
    evaluated = _with_warnings(chain.evaluated, tmp_path)
    made = outcome.of_chain(replace(chain, evaluated=evaluated), tmp_path)
    assert made["warnings"] == wanted
    assert json.loads(json.dumps(made)) == made
    ready = _with_warnings(chain.ready, tmp_path)
    failed = replace(chain, evaluated=None, ready=ready)
    assert outcome.of_chain(failed, tmp_path)["warnings"] == wanted


def test_warnings_that_were_altered_are_not_believed(tmp_path):
    """Nor are they silently left out; of those on another machine nothing is known."""
    chain = runs.with_events(_chain(), EVENTS, CHAIN)
    chain = replace(chain, evaluated=_with_warnings(chain.evaluated, tmp_path))
    place = tmp_path / chain.evaluated.warnings.key
    place.write_bytes(place.read_bytes() + b"x")
    (said,) = outcome.of_chain(chain, tmp_path)["warnings"]
    assert "SHA-256 differs" in said["message"]
    place.unlink()
    assert outcome.of_chain(chain, tmp_path)["warnings"] == []


_COSTS = {"fit_seconds": 0.5, "rows_per_second": 1000.0, "n_bytes": 12_000, "params": "{}"}
LEADERBOARD = [
    selection.Line(
        "xgboost",
        "xgboost",
        "log_loss",
        0.9,
        0.88,
        0.92,
        0.0,
        None,
        None,
        False,
        weight=1.0,
        **_COSTS,
    ),
    selection.Line(
        "lasso", "lasso", "log_loss", 0.8, 0.77, 0.83, 0.1, 0.05, 0.15, True, weight=0.0, **_COSTS
    ),
]


def test_the_terminal_shows_warnings_baseline_and_drivers(tmp_path):
    """Warnings before the score, the baseline beside it, what drives it below."""
    chain = runs.with_events(_chain(), EVENTS, CHAIN)
    more = {
        "baseline": {"accuracy": 0.25},
        "drivers": {"x": 2.0, "y": 1.0},
        "drivers_unit": "the model's margin",
        "summary": "It is of use.",
        "columns": _kept(
            as_columns(
                [ColumnLine("y", "target", "a, b", 0, "")]
                + [ColumnLine(f"[c{n}]", "number", "0 to 1", n, "as it is") for n in range(30)]
            ),
            "columns",
            tmp_path,
        ),
        "leaderboard": _kept(selection.as_table(LEADERBOARD), "leaderboard", tmp_path),
    }
    evaluated = _with_warnings(chain.evaluated, tmp_path).model_copy(update=more)
    chain = replace(chain, evaluated=evaluated)
    console = Console(file=io.StringIO(), width=100)
    show.outcome(console, chain, outcome.of_chain(chain, tmp_path), {})
    said = console.file.getvalue()
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "warning leak: leave out: -p drop=casual,registered" in lines
    assert "strongest drivers x 2, y 1 (mean |SHAP value|, in the model's margin)" in lines
    assert "It is of use." in lines
    assert any(line.startswith("│ [c18] │ number │ 0 to 1 │ 18 │ as it is") for line in lines)
    assert "and 11 more" in lines
    assert any(line.startswith("┃ candidate ┃ log_loss ┃ 95 % interval") for line in lines)
    assert "│ xgboost │ 0.9 │ 0.88 to 0.92 │ │ 0.5 │ 1,000 │ 12 │ 1.00 │" in lines
    assert "│ lasso │ 0.8 │ 0.77 to 0.83 │ 0.1 │ 0.5 │ 1,000 │ 12 │ │" in lines
    assert chain.evaluated.data.title in lines
    assert said.index("leak") < said.index("metrics on held-out rows")
    assert any(line.startswith("│ accuracy") and line.endswith("0.25 │") for line in lines)


def test_a_chain_of_an_older_baton_is_shown_without_a_baseline(tmp_path):
    """Its event has none."""
    chain = runs.with_events(_chain(), EVENTS, CHAIN)
    console = Console(file=io.StringIO(), width=100)
    show.outcome(console, chain, outcome.of_chain(chain, tmp_path), {})
    assert "accuracy" in console.file.getvalue()
    assert "baseline" not in console.file.getvalue()


def test_a_chain_that_goes_on_or_was_cancelled_has_not_failed(tmp_path):
    """Its object has the state that it is in."""
    for state, said in (("RUNNING", "RUNNING"), ("CANCELLED", "CANCELLED")):
        chain = runs.ChainRun(SEARCHED, "spheres", (runs.StageRun(Stage.TRAIN, state=state),))
        assert outcome.of_chain(chain, tmp_path)["state"] == said


def test_files_of_another_home_are_named_as_theirs(tmp_path):
    """What stands here has its path here, whoever may have made it."""
    chain = runs.with_events(_chain(), EVENTS, CHAIN)
    report = chain.evaluated.report.key
    (tmp_path / report).parent.mkdir(parents=True)
    (tmp_path / report).touch()
    made = outcome.of_chain(chain, tmp_path, is_elsewhere=True)
    assert made["report"] == str(tmp_path / report)
    for name, place in made["results"].items():
        assert place.startswith(f"<BATON_HOME of the workers>/{tmp_path.name}/spheres/")
        assert place.endswith(f"/{name}.parquet")


def test_a_chain_that_failed_says_why_in_its_object(tmp_path):
    """The mistake if it was one; one that never began has the same keys."""
    made = outcome.of_chain(_chain(REFUSED, "table", ["generate"]), tmp_path)
    assert made["state"] == "FAILED"
    assert made["error"].startswith("target 'y'")
    assert outcome.never_begun("table", "no").keys() == made.keys()
    stage = runs.StageRun(Stage.TRAIN, state="CRASHED", message="it\nwas killed")
    crashed = replace(_chain(REFUSED), stages=(stage,))
    assert outcome.of_chain(crashed, tmp_path)["error"] == "stage train crashed: it was killed"


def test_a_chain_of_which_nothing_moves_or_runs_is_silent():
    """For 90 seconds, then again after another 90."""
    chain, moved, running = (
        runs.ChainRun(SEARCHED, "spheres", (runs.StageRun(Stage.TRAIN, state=state),))
        for state in ("WAITING", "PENDING", "RUNNING")
    )
    now = datetime.now(UTC)
    silence = Silence()

    def is_long(chain, seconds):
        return silence.is_long(chain, now + timedelta(seconds=seconds))

    assert not is_long(chain, 0)
    assert not is_long(chain, 89)
    assert is_long(chain, 91)
    assert not is_long(chain, 92)
    assert is_long(chain, 182)
    assert not is_long(moved, 300)
    assert not is_long(running, 301)
    assert not is_long(running, 999)


def test_a_run_that_nobody_takes_is_told_once_after_some_seconds():
    """One that was taken is not, and each stage's is."""
    first, second = (
        runs.StageRun(stage, state="SCHEDULED", flow_run_id=stage.value)
        for stage in (Stage.GENERATE, Stage.TRAIN)
    )
    taken = replace(first, state="RUNNING")
    now = datetime.now(UTC)
    queue = Queue(timedelta(seconds=8))

    def untaken(seconds, *stages):
        chain = runs.ChainRun(SEARCHED, "spheres", stages)
        return queue.untaken(chain, now + timedelta(seconds=seconds))

    assert untaken(0, first) == untaken(8, first) == []
    assert untaken(9, first) == [first]
    assert untaken(100, first) == untaken(101, taken, second) == []
    assert untaken(120, taken, second) == [second]
