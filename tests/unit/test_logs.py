"""A chain's log: which run is what, how its lines are told, and reading it again and again."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from baton.chain import log_lines
from baton.chain.events import Stage
from baton.chain.log_lines import Level, Source
from baton.chain.runs import Begun
from baton.cli.reading import Log
from tasks.platform import api
from tasks.platform.server import Server

CHAIN = "0123456789ab"
NOW = datetime(2026, 11, 24, 11, tzinfo=UTC)
FLOWS = {"f1": "train", "f2": "candidate", "f3": "trial", "f4": "evaluate"}


def _run(name, flow, parent=None, tags=(f"chain:{CHAIN}",)):
    known = {"tags": list(tags), "parameters": {}, "created": "2026-11-24T10:00:00Z"}
    return known | {"id": name, "flow_id": flow, "parent_task_run_id": parent}


def _log(name, run, second, level=20, message="said", task=None):
    at = (NOW + timedelta(seconds=second)).isoformat()
    known = {"id": name, "flow_run_id": run, "timestamp": at, "level": level, "message": message}
    return known | {"task_run_id": task}


RUNS = [
    _run("inner", "f2", "t2"),
    _run("outer", "f2", "t1"),
    _run("stage", "f1"),
    _run("alone", "f3"),
    _run("lost", "f2", "t9"),
]
PARENTS = {"t1": "stage", "t2": "outer"}


def test_a_run_is_known_by_its_stage_and_the_subflow_that_it_is():
    """Also one inside a subflow, in whatever order they come, and a trial that a worker takes."""
    found = log_lines.sources_of(RUNS, FLOWS, PARENTS, {})
    assert found == {
        "stage": Source(Stage.TRAIN),
        "outer": Source(Stage.TRAIN, "candidate"),
        "inner": Source(Stage.TRAIN, "candidate"),
        "alone": Source(Stage.TUNE, "trial"),
    }
    more = log_lines.sources_of([_run("new", "f4")], FLOWS, {}, found)
    assert more == found | {"new": Source(Stage.EVALUATE)}


def test_a_line_says_when_who_and_how_much_it_matters():
    """With its task; what would steer a terminal is shown, further lines are set in."""
    said = _log("1", "stage", 0, 40, "a\x1b[31m\nb\r", "t7")
    line = log_lines.line_of(said, {"stage": Source(Stage.TRAIN)}, {"t7": "fit model"})
    assert line.facts == {
        "at": NOW.isoformat(),
        "stage": "train",
        "part": None,
        "task": "fit model",
        "level": "error",
        "message": "a\x1b[31m\nb\r",
        "flow_run_id": "stage",
    }
    head, more = line.text.split("\n")
    assert head.endswith(".000  train                  error     fit model: a\\x1b[31m")
    assert more == "    b\\r"


@pytest.mark.parametrize(("level", "number"), [(Level.DEBUG, 10), (Level.CRITICAL, 50)])
def test_a_level_has_the_number_of_pythons_logging(level, number):
    """By which a server is asked."""
    assert level.number == number


class _Server:
    """A Prefect server with runs and lines, which answers by pages."""

    def __init__(self, logs):
        self.logs, self.asked = logs, []

    def __call__(self, request):
        content = json.loads(request.content)
        self.asked.append(content)
        return httpx.Response(200, json=self._answer(request.url.path, content))

    def _answer(self, path, content):
        match path.rpartition("/api/")[2]:
            case "flows/filter":
                return [{"id": one, "name": name} for one, name in FLOWS.items()]
            case "task_runs/filter":
                wanted = content["task_runs"]["id"]["any_"]
                tasks = {"t1": "stage", "t2": "outer", "t7": "stage"}
                return [
                    {"id": one, "flow_run_id": tasks[one], "name": f"task {one}"}
                    for one in wanted
                    if one in tasks
                ]
            case "flow_runs/filter":
                of_stages = [run for run in RUNS if FLOWS[run["flow_id"]] in list(Stage)]
                return of_stages if "flows" in content else RUNS
        return self._page(content)

    def _page(self, content):
        wanted = content["logs"]
        since = wanted.get("timestamp", {}).get("after_", "")
        found = [
            one
            for one in self.logs
            if one["flow_run_id"] in wanted["flow_run_id"]["any_"]
            and one["level"] >= wanted["level"]["ge_"]
            and one["timestamp"] >= since
        ]
        begin = content["offset"]
        return sorted(found, key=lambda one: one["timestamp"])[begin : begin + content["limit"]]


def _reading(server, **asked):
    transport = httpx.MockTransport(server)
    client = api.Client(api.Access("http://prefect.test/api"), (0.0,), transport)
    return Log(Server(client), Begun(CHAIN, "p", NOW), **asked)


def test_a_log_is_read_whole_in_the_order_of_time():
    """More lines than a server gives at once; lines of runs that nobody knows are none of it."""
    many = [_log(f"{n:04}", "stage", n / 100) for n in range(450)][::-1]
    server = _Server([*many, _log("x", "lost", 1), _log("y", "inner", 0.005, task="t7")])
    lines = _reading(server).rest()
    assert len(lines) == 451
    assert [one.at for one in lines] == sorted(one.at for one in lines)
    assert (lines[1].source.name, lines[1].task) == ("train/candidate", "task t7")


def test_lines_are_told_once_though_some_come_late():
    """The youngest are held back, lest an older one of another run follow them."""
    server = _Server([_log("1", "stage", 0), _log("3", "stage", 9)])
    log = _reading(server)
    assert [one.id for one in log.fresh(NOW + timedelta(seconds=10))] == ["1"]
    server.logs += [_log("2", "outer", 8), _log("4", "outer", 11)]
    assert [one.id for one in log.fresh(NOW + timedelta(seconds=13))] == ["2", "3"]
    assert log.fresh(NOW + timedelta(seconds=13)) == []
    server.logs += [_log("0", "outer", -900)]
    assert [one.id for one in log.rest()] == ["0", "4"]
    assert log.rest() == []


def test_a_log_is_read_by_stage_and_level():
    """With the subflows of the stage."""
    lines = [_log("1", "stage", 0, 30), _log("2", "outer", 1, 40), _log("3", "alone", 2, 40)]
    found = _reading(_Server([*lines, _log("4", "stage", 3)]), level=Level.WARNING)
    assert [one.id for one in found.rest()] == ["1", "2", "3"]
    of_train = _reading(_Server(lines), stage=Stage.TRAIN)
    assert [one.id for one in of_train.rest()] == ["1", "2"]
