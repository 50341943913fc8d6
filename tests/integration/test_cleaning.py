"""Removing what nothing needs: nothing is ever half there, and champions work afterwards."""

import json
import os
import shutil
import signal
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from filelock import FileLock
from prefect.client.orchestration import get_client
from prefect.states import Completed, Crashed, Paused, Running, Scheduled

from baton.chain import leftovers, manifest, stored
from baton.chain.events import EventName, Stage
from baton.chain.leftovers import Busy, Kind
from baton.chain.runs import OPEN_TAG, SCHEDULED_TAG, announcement
from baton.errors import InputError
from baton.settings import settings
from baton.terms import Options
from flows.predict import predict
from flows.promote import promote
from tasks.explaining import explain_row
from tasks.platform import api, cleaning, tracking
from tasks.platform.events import access
from tasks.platform.going import busy
from tests.conftest import ROOT
from tests.integration.stages import forget_runs, run
from tests.integration.test_promotion import FEW, evaluated_of, wine  # noqa: F401
from tests.integration.test_registered_models import data_of, home, register  # noqa: F401
from tests.unit.test_leftovers import record, result

CHAIN = manifest.read(ROOT / "prefect.yaml")
NOW = timedelta(0)


def nobody():
    """No chain goes on."""
    return Busy()


def cleaned(going=nobody, *, with_models=False, age=NOW):
    """Look, and remove what was found; what was removed."""
    return cleaning.remove(cleaning.look(age, going, with_models=with_models), going)


def _names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.fixture
def old(home, monkeypatch):  # noqa: F811
    """A home with the results of two old chains, and no MLflow."""
    monkeypatch.setattr(tracking, "versions", list)
    for folder in (settings().results, settings().chains):
        folder.mkdir(parents=True)
    keys = [result(settings(), digit) for digit in "abc"]
    for place in leftovers.folders_of_results(settings().results):
        for name in ("raw.parquet.json", "features.parquet"):
            (place / name).write_text(name)
    record(settings(), "1" * 12, 1, *keys[:2])
    return SimpleNamespace(path=home, keys=keys, names=_names(place))


def whole(old):
    """Folders that are there; each has all of its files."""
    found = list(leftovers.folders_of_results(settings().results))
    for place in found:
        assert _names(place) == old.names
    return found


def _dying_at(step):
    """Have this process killed at its so manieth change of the disk."""
    left = [step]

    def dying(change):
        def changed(*args, **options):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*args, **options)

        return changed

    for name in ("rename", "unlink", "rmdir"):
        setattr(os, name, dying(getattr(os, name)))


def test_whoever_is_killed_leaves_nothing_that_counts_as_whole_and_is_not(old, tmp_path_factory):
    """At every change of the disk: a folder is whole or gone, and the next clean finishes it."""
    copy = shutil.copytree(old.path, tmp_path_factory.mktemp("copy") / "home")
    for step in range(1, 100):
        child = os.fork()
        if child == 0:
            _dying_at(step)
            cleaned()
            os._exit(0)
        has_ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        left = {f"{one.parent.name}/{one.name}" for one in whole(old)}
        if (settings().chains / f"{'1' * 12}.json").exists():
            assert set(old.keys) == left, "who refers goes first"
        cleaned()
        assert whole(old) == [] and not (settings().results / leftovers.GONE).exists()
        if has_ended:
            break
        shutil.rmtree(old.path)
        shutil.copytree(copy, old.path)
    assert step > 12


def test_a_chain_that_begins_meanwhile_finds_what_it_saw(old):
    """It is put back, or stays from the beginning; what the chain has made anew counts."""
    answers = [nobody(), nobody(), Busy(problems=frozenset({"spheres"}))]
    assert [one.kind for one in cleaned(lambda: answers.pop(0))] == [Kind.RECORD]
    assert len(whole(old)) == 3
    answers = [nobody(), Busy(problems=frozenset({"spheres"}))]
    assert cleaned(lambda: answers.pop(0)) == []
    found = cleaning.look(NOW, nobody, with_models=False)
    made = settings().results / old.keys[0]

    def begun():
        if made.exists():
            return nobody()
        made.mkdir()
        (made / "raw.parquet").write_text("new")
        return Busy(text=f'"{old.keys[0]}/raw.parquet"')

    removed = cleaning.remove(found, begun)
    assert {one.path for one in removed} == {settings().results / key for key in old.keys[1:]}
    assert [path.read_text() for path in made.iterdir()] == ["new"]


def test_what_is_being_made_stays(old):
    """Whoever makes it holds its lock; a link that has come since is not followed."""
    held = settings().locks / f"{old.keys[0].replace('/', '.')}.lock"
    held.parent.mkdir(exist_ok=True)
    found = cleaning.look(NOW, nobody, with_models=False)
    outside = shutil.move(settings().results / old.keys[1], old.path / "outside")
    (settings().results / old.keys[1]).symlink_to(outside)
    with FileLock(held):
        removed = cleaning.remove(found, nobody)
    assert {one.path for one in removed if one.kind is Kind.RESULT} == {
        settings().results / old.keys[2]
    }
    assert _names(outside) == old.names
    assert (settings().results / old.keys[0] / "raw.parquet").exists()


def test_one_cleans_at_a_time(old):
    """The second one says so, and removes nothing."""
    refused = pytest.raises(InputError, match="another `baton clean` is at work")
    with cleaning.alone(), refused, cleaning.alone():
        pass


def test_files_go_with_what_is_noted_of_them(old):
    """A download with its note, a copy of what was sent with its folder, locks nobody holds."""
    files = [
        "downloads/host/a.csv",
        "downloads/host/a.csv.json",
        "downloads/host/a.csv.lock",
        f"piped/{'a' * 16}/stdin",
        "results/.new/spheres.x.raw.parquet",
        "chains/x.json.aside",
        "locks/left.lock",
    ]
    for place in (old.path / name for name in files):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
        os.utime(place, (0, 0))
    removed = cleaned()
    assert [name for name in files if (old.path / name).exists()] == []
    assert {one.kind for one in removed} == set(Kind) - {Kind.GONE, Kind.MODEL}
    assert cleaned() == []


def test_nothing_is_removed_where_mlflow_cannot_be_asked(old, monkeypatch):
    """Nobody knows then which versions are champions."""

    def versions():
        raise ConnectionError("it does not answer")

    monkeypatch.setattr(tracking, "versions", versions)
    with pytest.raises(InputError, match="nothing was removed: it does not answer"):
        cleaned()
    assert len(whole(old)) == 3


@pytest.fixture
def registered(home):  # noqa: F811
    """Four versions of a model: the first two with an alias, and the newest."""
    versions = [register(data_of("wine"), str(n) * 32) for n in range(1, 5)]
    tracking.move_aliases(versions[0].name, {tracking.CHAMPION: 1, "mine": 2})
    return versions


def _numbers(name):
    return sorted(one.number for one in tracking.versions() if one.name == name)


def _files(version):
    return tracking._places(tracking._client(), version.run_id)


def test_versions_go_only_where_that_is_asked_for_and_nothing_refers_to_them(registered):
    """Those with any alias and the newest stay; what was deleted is trained and registered anew."""
    name = registered[0].name
    assert cleaned() == []
    (item,) = cleaning.look(NOW, nobody, with_models=True).items
    assert (item.kind, str(item.path), item.about) == (Kind.MODEL, f"models:/{name}/3", name)
    assert item.n_bytes > 1000
    assert cleaned(with_models=True, age=timedelta(days=1)) == []
    at_work = Busy(problems=frozenset({"table"}))
    assert cleaned(lambda: at_work, with_models=True) == []
    places = _files(registered[2])
    assert cleaned(with_models=True) == [item]
    assert _numbers(name) == [1, 2, 4]
    assert places and not any(list(place.iterdir()) for place in places)
    assert tracking.load_model.fn(registered[0]).target == "y"
    again = register(data_of("wine"), "3" * 32)
    assert again.version == 5
    assert tracking.load_model.fn(again).target == "y"


@pytest.mark.parametrize("step", ["set_tag", "delete_model_version", "delete_logged_model"])
def test_a_version_whose_deletion_was_killed_is_whole_or_gone(registered, monkeypatch, step):
    """And the next clean removes what is left of it."""
    client = type(tracking._client())

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(client, step, killed)
        with pytest.raises(KeyboardInterrupt):
            cleaned(with_models=True)
    found = tracking.find_version(registered[2].name, "3" * 32)
    assert (found is None) == (step == "delete_logged_model")
    if found:
        assert tracking.load_model.fn(found).target == "y"
    cleaned(with_models=True)
    assert _numbers(registered[0].name) == [1, 2, 4]
    assert tracking._client().get_run(registered[2].run_id).info.lifecycle_stage == "deleted"
    assert tracking.delete_marked() == 0


def _begun(client, stage, state, parameters, tags=()):
    flow_id = client.create_flow_from_name(stage.value)
    deployment = client.create_deployment(flow_id, name="d", enforce_parameter_schema=False)
    made = client.create_flow_run_from_deployment(deployment, parameters=parameters, tags=tags)
    for one in (Running(), state):
        client.set_flow_run_state(made.id, one, force=True)


KEY = f"iris/{'a' * 16}"


@pytest.mark.parametrize(
    ("state", "tags", "is_named", "is_at_work"),
    [
        (Running(), [], True, True),
        (Crashed(), [], True, True),
        (Scheduled(), [], True, True),
        (Scheduled(), [SCHEDULED_TAG], False, False),
        (Paused(), [], True, False),
        (Completed(), [], False, False),
        (
            Completed(message=announcement(EventName.MODEL_TRAINED, cached=False)),
            [OPEN_TAG],
            True,
            True,
        ),
        (
            Completed(message=announcement(EventName.MODEL_REJECTED, cached=False)),
            [OPEN_TAG],
            False,
            False,
        ),
    ],
)
def test_what_chains_need_that_are_not_over_is_asked(
    prefect,
    home,  # noqa: F811
    state,
    tags,
    is_named,
    is_at_work,
):
    """Of one at work its whole problem, of one that waits what it names, else nothing."""
    payload = {"chain": "1" * 12, "problem": "iris", "raw": {"key": f"{KEY}/raw.parquet"}}
    with get_client(sync_client=True) as client:
        forget_runs(client)
        _begun(client, Stage.TRAIN, state, {"data": payload}, tags)
    with api.Client(access()) as asked:
        found = busy(asked, CHAIN)
    assert found.folders == ({KEY} if is_named else set())
    assert found.chains == ({"1" * 12} if is_named else set())
    assert found.problems == ({"iris"} if is_at_work else set())


@pytest.fixture
def two(prefect, wine):  # noqa: F811
    """Chains of a champion and of one that lost to it, and a version that is newer than both."""
    first, second = (
        evaluated_of(wine, Options(**FEW, model=model), uuid4().hex[:12])
        for model in ("linear_regression", "decision_tree")
    )
    for one in (first, second):
        run(promote, one)
    register(first.data, uuid4().hex)
    assert tracking.aliases_of(first.model.name) == {tracking.CHAMPION: 1}
    return first, second


def _cleaned_of(evaluated, **options):
    """Remove what is left over of a chain; others have their results in this home, too."""
    found = cleaning.look(NOW, nobody, **options)
    own = {settings().results / key for key in _folders(evaluated)}
    own |= {settings().chains / f"{evaluated.chain}.json"}
    of_chain = [one for one in found.items if one.path in own or one.about == evaluated.model.name]
    return cleaning.remove(replace(found, items=tuple(of_chain)), nobody)


def _folders(evaluated):
    return leftovers.references(json.dumps(evaluated.payload()))


@pytest.mark.timeout(900)
def test_after_a_clean_the_champion_works_and_what_is_gone_is_made_anew(two, wine):  # noqa: F811
    """Its row is explained, its report is there, it predicts; the other chain makes the same."""
    first, second = two
    removed = {one.path for one in _cleaned_of(second, with_models=False)}
    own = _folders(second) - _folders(first)
    assert {settings().results / key for key in own} <= removed
    assert not removed & {settings().results / key for key in _folders(first)}
    assert settings().chains / f"{second.chain}.json" in removed
    assert stored.checked(settings().results, first.report).is_file()
    row = int(tracking.results.read(first.predictions)["_row"][0].as_py())
    assert explain_row(first, row)[0].row == row
    new = {"path": wine["path"], "name": wine["name"]}
    assert run(predict, "table", new) == "Completed"
    again = evaluated_of(wine, Options(**FEW, model="decision_tree"), uuid4().hex[:12])
    assert again.model == second.model
    assert (again.predictions, again.scores) == (second.predictions, second.scores)
    assert Kind.MODEL in {one.kind for one in _cleaned_of(again, with_models=True)}
    assert _numbers(first.model.name) == [1, 3]
    assert run(predict, "table", new) == "Cached"
