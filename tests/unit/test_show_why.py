"""What the commands that say why print."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from baton.chain.causes import Cause, Fault, Step, concluded
from baton.chain.origins import Account, Moments, Occurrence, Origin, Story
from baton.cli import main
from baton.cli.show_why import diagnosis, shortened, story, story_facts
from baton.settings import settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def printed(show, *what, width=100):
    console = Console(file=StringIO(), width=width)
    show(console, *what)
    return console.file.getvalue()


def _run(run_id, flow, origin, state="COMPLETED", **more):
    known = {"name": flow, "chain": "c" * 12, "problem": "iris", "message": "", "n_begun": 1}
    known |= {"moments": Moments(created=NOW, ended=NOW), "seconds": {"working": 2.0}}
    return Account(flow_run_id=run_id, flow=flow, state=state, origin=origin, **known | more)


def _event(event_id, name, run, **more):
    known = {"resource": "baton.x.iris", "occurred": NOW, "chain": "c" * 12, "starts": ()}
    known |= {"payload": {"problem": "iris", "raw": {"key": "k"}}}
    return Occurrence(id=event_id, event=name, run=run, **known | more)


def _by(event, run):
    return Origin(kind="event", event_id=event, event="x", automation="a_1", run=run)


STORY = Story(
    subject="chain cccccccccccc",
    runs=(
        _run("r1", "generate", Origin(kind="schedule")),
        _run("r2", "train", _by("e1", "r1"), n_begun=2, seconds={"working": 4.0, "down": 1.0}),
        _run("r3", "fit", Origin(kind="run", run="r2"), "FAILED", message="no [rows]"),
        _run("r4", "promote", Origin(kind="event", automation="p_1")),
    ),
    events=(
        _event("e1", "baton.dataset.ready", "r1", starts=("r2",)),
        _event("e2", "baton.model.promoted", "r4", starts=("r9",), begins="d" * 12),
        _event("e3", "baton.model.trained", "r2"),
    ),
)


def test_a_story_is_a_tree_and_a_table():
    """Each run below the one whose event started it; what was begun twice, or failed, says so."""
    said = printed(story, STORY)
    assert "chain cccccccccccc · iris" in said
    assert "generate completed, by its schedule" in said
    assert "train completed, begun 2 times, by baton.dataset.ready at " in said
    assert "problem=iris, … 1 more" in said
    assert "fit failed, as a part of it" in said
    assert "no [rows]" in said
    assert "promote completed, by an event that the server has forgotten (p_1)" in said
    assert "began chain dddddddddddd: `baton why dddddddddddd`" in said
    assert "baton.model.trained at " in said
    assert "longest: train, at work, 4.0 s" in said
    assert said.index("generate completed") < said.index("train completed") < said.index("fit fai")


def test_ids_of_runs_are_whole_on_a_narrow_terminal():
    """They are copied."""
    run_id = "be1c9609-346c-400e-9521-df6446f669e9"
    one = _run(run_id, "generate", Origin(kind="hand"))
    assert run_id in printed(story, Story(subject="s", runs=(one,), events=()), width=60)


def test_a_story_of_nothing_is_one_line():
    """A chain that was announced, and that nothing has begun."""
    said = printed(story, Story(subject="chain c", runs=(), events=()))
    assert said == "no stage of chain c has run yet\n"
    assert story_facts(Story(subject="s", runs=(), events=()))["longest"] is None


def test_json_has_what_is_shortened_in_text():
    """The whole payload, the times and the sums."""
    told = story_facts(STORY)
    assert told["events"][0]["payload"] == {"problem": "iris", "raw": {"key": "k"}}
    assert told["longest"] == {"flow_run_id": "r2", "phase": "working"}
    assert told["seconds"] == {"working": 10.0, "down": 1.0}
    assert told["began"] == NOW.isoformat()


def test_a_payload_is_shortened_to_a_line():
    """Long values and what does not fit are counted."""
    long = {f"name_{n}": "x" * 50 for n in range(9)}
    said = shortened(long)
    assert len(said) < 130
    assert said.endswith("more")
    assert shortened({"a": 1, "b": ""}) == "a=1, … 1 more"


def test_a_diagnosis_is_a_line_and_its_checks():
    """Marked as met, or as where it hangs; brackets are no markup."""
    steps = [Step("one [a]"), Step("two", Fault(Cause.LOST, "it [x]", "do")), Step("never")]
    said = printed(diagnosis, concluded("train of chain c", "c", steps))
    assert said.splitlines() == [
        "train of chain c did not run: it [x]; do",
        "  ✓ one [a]",
        "  ✗ two",
    ]


@pytest.mark.parametrize("words", [("why",), ("why", "abc"), ("why-not", "train", "--chain", "a")])
def test_a_home_in_which_nothing_ran_is_one_line(words, monkeypatch, tmp_path, capsys):
    """And none is made to see that."""
    monkeypatch.setenv("BATON_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    settings.cache_clear()
    with pytest.raises(SystemExit) as end:
        main(list(words))
    said = capsys.readouterr()
    monkeypatch.undo()
    settings.cache_clear()
    assert (end.value.code, said.out) == (2, "")
    assert "no Baton has run in" in said.err
    assert not (tmp_path / "home").exists()
