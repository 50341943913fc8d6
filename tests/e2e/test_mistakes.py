"""Mistakes of users, by every command: exit code 2, one clear line, and nothing was done.

A command that is not here fails the test, and so does one that has no example of its own.
"""

import enum
import typing

import pytest

from baton.cli import app, interrupts, main
from baton.settings import settings

pytestmark = pytest.mark.e2e

COMMANDS = sorted(name for name in app if not name.startswith("-"))

NOBODY = "0" * 12
"""Id of a chain that there is not."""

TABLE = ("table", "-p", "path=nowhere.csv")

EXAMPLES = {
    "announce": {
        ("sphere",): "unknown problem 'sphere'; did you mean 'spheres'",
        (*TABLE, "-p", "target=y"): "nowhere.csv: check the path",
        ("spheres", "-p", "rows=none"): "rows",
        ("iris", "-p", "seed"): "-p takes KEY=VALUE",
        ("iris", "--predict", "-p", "seeds=1"): "seeds",
    },
    "arrivals": {("sphere",): "unknown problem"},
    "backfill": {
        ("predict", "sphere", "--start", "2021-01", "--end", "2021-02"): "unknown problem",
        ("predict", "taxi", "--start", "soon", "--end", "2021-02"): "soon",
        ("train", "taxi", "--start", "2021-02", "--end", "2021-01", "-p", "train={period}"): "2021",
        ("predict", "taxi", "--start", "2021-01", "--end", "2021-02"): "{period}",
        ("predict", "taxi", "--start", "2021-01", "--end", "2021-02", "--parallel", "0"): "0",
    },
    "clean": {("--older-than", "soon"): "soon", ("--older-than", "-3d"): "--older-than"},
    "compare": {(NOBODY, NOBODY): "no chain", ("sphere", "sphere"): "no chain"},
    "demo": {("volcano",): "volcano"},
    "doctor": {},
    "down": {},
    "explain": {
        ("sphere", "--row", "1"): "unknown problem",
        ("spheres", "--row", "1", "--chain", NOBODY): "no chain",
        ("spheres", "--row", "1.5"): "1.5",
    },
    "graph": {(NOBODY,): "chain", ("nowhere/features.parquet",): "nowhere/features.parquet"},
    "history": {("sphere",): "sphere"},
    "labels": {
        ("sphere", "-p", "path=nowhere.csv", "--id", "id"): "sphere",
        ("spheres", "-p", "path=nowhere.csv", "--id", "id"): "spheres",
        ("spheres", "--id", "id"): "path",
        ("spheres", "-p", "rows=3", "--id", "id"): "rows",
    },
    "logs": {
        (NOBODY, "--stage", "tain"): "tain",
        (NOBODY, "--level", "loud"): "loud",
    },
    "models": {("sphere",): "unknown problem"},
    "new": {
        ("problem", "High Tide"): "High Tide",
        ("model", "xgboost"): "xgboost",
        ("robot", "tides"): "robot",
    },
    "predict": {
        ("sphere",): "unknown problem",
        ("spheres", "--version", "first"): "first",
        ("spheres", "--version", "1.5"): "1.5",
        ("spheres", "--answers", "loud"): "loud",
        ("spheres", "-p", "rows=none"): "rows",
    },
    "problems": {("sphere",): "unknown problem 'sphere'; did you mean 'spheres'"},
    "promote": {
        ("sphere", "--version", "1", "--reason", "x"): "sphere",
        ("spheres", "--version", "99", "--reason", "x"): "spheres",
        ("spheres", "--version", "first", "--reason", "x"): "first",
        ("spheres", "--version", "1", "--reason", " "): "no model of spheres",
    },
    "prune": {},
    "replay": {
        (NOBODY, "--from", "tain"): "tain",
        (NOBODY, "--from", "train", "-p", "model"): "-p takes KEY=VALUE",
    },
    "report": {(NOBODY,): "no chain"},
    "rollback": {
        ("sphere", "--reason", "x"): "sphere",
        ("spheres", "--reason", "x"): "spheres",
        ("spheres", "--reason", " "): "no model of spheres",
    },
    "run": {
        ("sphere",): "unknown problem 'sphere'; did you mean 'spheres'",
        ("spheres", "-p", "row=5"): "unknown parameter 'row'",
        ("spheres", "-p", "rows=5", "-p", "rows=6"): "twice",
        (*TABLE, "-p", "target=y"): "nowhere.csv",
        ("iris", "-p", "model=oracle"): "oracle",
        ("iris", "-p", "quality=superb"): "quality",
    },
    "serve": {
        ("sphere",): "sphere",
        ("spheres",): "spheres",
        ("spheres", "--port", "99999", "--wait"): "99999",
    },
    "train": {
        (NOBODY,): "no chain",
        (NOBODY, "-p", "rows=5"): "no chain",
    },
    "why-not": {("tain",): "tain"},
    "worker": {
        ("--pool", "baton"): "no Prefect server answers",
        ("--pool", "baton", "--limit", "1.5"): "1.5",
        ("--pool", "baton", "--name", "a/b"): "--name takes neither / nor %",
    },
}
"""Words after a command that it refuses before it asks anybody, and what its line names."""

ASKED = {
    "approve": {(NOBODY,): "no chain", ("xyz",): "no chain"},
    "deploy": {(): "PREFECT_API_URL is not set"},
    "logs": {(NOBODY,): "no chain"},
    "open": {("0000", "--no-browser"): "no chain", ("xyz",): "no id of a chain"},
    "predict": {("spheres", "--version", "99"): "spheres"},
    "replay": {(NOBODY, "--from", "train"): "no chain"},
    "status": {(NOBODY,): "no chain"},
    "up": {
        ("--serve", "sphere"): "sphere",
        ("--serve", "iris:door"): "door",
        ("--serve", "iris:99999"): "99999",
    },
    "why": {(NOBODY,): "no chain", ("be1c9609-346c",): "be1c9609-346c"},
    "why-not": {("train", "--chain", NOBODY): "no chain"},
}
"""The same where a Baton stands, which is asked."""

KEPT = [(), ("locks",), ("mlflow",), ("arrivals",)]
"""What a home may hold afterwards: locks, an empty registry, the account of what was refused."""

WHOLE = {"doctor", "down", "prune"}
"""Commands that take nothing a person could get wrong but an option that there is not."""


def _arguments(command):
    return list(app[command].assemble_argument_collection())


def _needed(command, but=None):
    """Words by which a command has all that it needs, but for one argument."""
    words = []
    for one in _arguments(command):
        if one.field_info.required and one.name != but:
            values = _choices(one.hint) or ["1" if one.hint is int else "x"]
            words += values[:1] if one.index is not None else [one.name, values[0]]
    return words


def _choices(hint):
    """What there is to choose from."""
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return [str(one.value) for one in hint]
    return list(typing.get_args(hint)) if typing.get_origin(hint) is typing.Literal else []


def _general(command):
    """What every command refuses by its arguments alone, and what its line names."""
    arguments = _arguments(command)
    yield [*_needed(command), "--no-such-option"], "--no-such-option"
    places = [one for one in arguments if one.index is not None]
    yield ["x"] * (len(places) + 1), ""
    for one in arguments:
        if one.field_info.required:
            named = "" if one.index is not None else one.name
            yield _needed(command, but=one.name), named
        kinds = {one.hint, *typing.get_args(one.hint)}
        if kinds & {int, float} or any(_choices(kind) for kind in kinds):
            given = ["~"] if one.index is not None else [one.name, "~"]
            yield [*given, *_needed(command, but=one.name)], "~"


def _cases(examples, general=lambda _: ()):
    """Every command line, with what is to be named in its answer."""
    for command in COMMANDS:
        for words, said in [*general(command), *examples.get(command, {}).items()]:
            yield pytest.param([command, *words], said, id=" ".join([command, *words]))


def test_every_command_has_a_mistake_of_its_own():
    """A new one is not finished before somebody has thought of what is given to it in error."""
    assert set(COMMANDS) == {*EXAMPLES, *ASKED}
    own = {name for name in COMMANDS if EXAMPLES.get(name) or ASKED.get(name)}
    assert set(COMMANDS) - own == WHOLE


def _require_one_line(code, out, err, said):
    """It names what is wrong; nothing else is said, and no traceback."""
    assert code == 2, out + err
    assert err.startswith("baton: ")
    assert len(err.splitlines()) == 1, err
    assert said in err
    assert "Traceback" not in out


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory):
    """A home in which nothing stands, and a folder to be in; a server that does not answer."""
    folder = tmp_path_factory.mktemp("mistakes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATON_HOME", str(folder / "home"))
        patch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
        patch.setattr(interrupts, "catch", lambda: None)
        (folder / "here").mkdir()
        patch.chdir(folder / "here")
        settings.cache_clear()
        yield folder
    settings.cache_clear()


@pytest.mark.parametrize(("words", "said"), _cases(EXAMPLES, _general))
def test_a_mistake_is_one_line_and_exit_code_2(nowhere, capsys, words, said):
    """Before anybody is asked; nothing is made."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    _require_one_line(ended.value.code, *capsys.readouterr(), said)
    made = {path.relative_to(nowhere).parts[:2] for path in nowhere.rglob("*")}
    assert not made - {("here",), *(("home", *one) for one in KEPT)}


STANDING = list(_cases(ASKED))


@pytest.fixture(scope="module")
def answers(up):
    """What was said to each, asked of a Baton that stands; no run began, and nothing was made."""
    before = _state(up)
    found = up.baton_each([one.values[0] for one in STANDING])
    assert _state(up) == before
    return found


def _state(up):
    """Runs of the server that somebody asked for, and files of the home that are results."""
    conditions = {"state": {"type": {"not_any_": ["SCHEDULED"]}}}
    runs = up.post("flow_runs/filter", {"flow_runs": conditions})
    folders = ("results", "chains", "arrivals", "uploads", "mlflow/artifacts", "decisions")
    files = {path for one in folders for path in (up.path / one).rglob("*")}
    return {run["id"] for run in runs}, files


@pytest.mark.parametrize("place", range(len(STANDING)), ids=[one.id for one in STANDING])
def test_a_mistake_is_one_line_where_a_baton_stands(answers, place):
    """Who is asked says no; that is one line, too."""
    answer, said = answers[place], STANDING[place].values[1]
    _require_one_line(answer.code, answer.out, answer.err, said)
