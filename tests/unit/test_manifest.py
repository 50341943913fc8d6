"""Reading prefect.yaml strictly."""

from copy import deepcopy
from datetime import timedelta

import pytest
import yaml

from baton.chain import manifest
from baton.chain.events import EventName, Stage, chain_begun_by
from baton.errors import InputError
from baton.terms import Options
from tests.conftest import ROOT

ID = "3f9c1a2b4d5e"
GOOD = yaml.safe_load((ROOT / "prefect.yaml").read_text())

TRAINING = next(d["triggers"] for d in GOOD["deployments"] if d["name"] == "train")
TWICE = [TRAINING[0] | {"name": "train__automation_2"}, TRAINING[1]]


def _read(tmp_path, content):
    path = tmp_path / "prefect.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return manifest.read(path)


def _changed(name, **change):
    content = deepcopy(GOOD)
    entry = next(d for d in content["deployments"] if d["name"] == name)
    for key, value in change.items():
        target = entry["triggers"][0] if key in {"expect", "within", "match", "follows"} else entry
        target[key] = value
    return content


def test_the_chain_of_this_repository_is_read_in_the_order_of_its_events():
    """generate, train, evaluate, then promote, because that is who expects whose event."""
    chain = manifest.read(ROOT / "prefect.yaml")
    assert chain.stages() == [Stage.GENERATE, Stage.TRAIN, Stage.EVALUATE, Stage.PROMOTE]
    asked = Options(notebook="tour").labels
    assert chain.stages(labels=asked) == [*chain.stages(), Stage.NOTEBOOK]
    assert chain.stages(Stage.TRAIN, asked) == [*chain.stages()[1:], Stage.NOTEBOOK]
    assert chain.generator_of("table").name == "generate-table"
    assert chain.generator_of("nobody") is None


def test_an_event_may_begin_a_chain_where_it_was_asked_for():
    """Which then has an id of its own, the same however often the event is told."""
    chain, asked = manifest.read(ROOT / "prefect.yaml"), Options(predict={}, retrain={}).labels
    promoted, drifted = EventName.MODEL_PROMOTED, EventName.DRIFT_DETECTED
    begun = chain_begun_by(promoted, ID)
    assert begun != chain_begun_by(drifted, ID) != ID
    assert chain.followers(promoted, ID, asked) == [(begun, Stage.PREDICT)]
    assert chain.followers(promoted, ID, manifest.PLAIN) == []
    assert chain.followers(drifted, ID, asked) == [(chain_begun_by(drifted, ID), Stage.GENERATE)]
    assert chain.followers(EventName.MODEL_REJECTED, ID, asked) == []
    assert chain.followers(EventName.MODEL_TRAINED, ID, asked) == [(ID, Stage.EVALUATE)]
    assert chain.stages(labels=asked)[-1] is Stage.PROMOTE
    assert chain.stages(Stage.PREDICT) == [Stage.PREDICT, Stage.MONITOR]


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("train", {"expects": ["baton.dataset.ready"]}, "unknown key"),
        ("train", {"expect": []}, "at least 1 item"),
        ("train", {"expect": ["baton.dataset.raedy"]}, "baton.dataset.ready"),
        ("train", {"within": 60}, "0"),
        ("train", {"follows": ["x"]}, "unknown key"),
        ("train", {"match": {}}, "Field required"),
        ("train", {"entrypoint": "train"}, "match pattern"),
        ("train", {"triggers": TWICE}, "triggers of one name: train__automation_2"),
        ("reconcile", {"schedules": [{"interval": 300, "cron": "* * * * *"}]}, "either"),
        ("reconcile", {"schedule": {"interval": 300}}, "unknown key"),
    ],
)
def test_a_mistake_that_prefect_would_take_in_silence_is_refused(tmp_path, name, change, said):
    """The error is one line that names the deployment and the key."""
    with pytest.raises(InputError) as error:
        _read(tmp_path, _changed(name, **change))
    assert said in str(error.value)
    assert f"deployment '{name}'" in str(error.value)
    assert "\n" not in str(error.value)


def test_taxi_is_learnt_weekly_and_predicted_hourly():
    """As prefect.yaml has it, and switched on."""
    found = {d.name: d.schedules for d in manifest.read(ROOT / "prefect.yaml").deployments}
    assert [(s.cron, s.active) for s in found["generate-taxi"]] == [("0 0 * * 0", True)]
    assert [(s.cron, s.active) for s in found["predict-taxi"]] == [("0 * * * *", True)]


def test_an_unknown_key_in_a_trigger_is_refused(tmp_path):
    """``expects`` would leave ``expect`` empty, which matches every event."""
    content = deepcopy(GOOD)
    trigger = next(d for d in content["deployments"] if d["name"] == "train")["triggers"][0]
    trigger["expects"] = trigger.pop("expect")
    with pytest.raises(InputError, match="triggers"):
        _read(tmp_path, content)


def test_two_deployments_of_one_name_are_refused(tmp_path):
    """The second would overwrite the first."""
    content = deepcopy(GOOD)
    content["deployments"].append(content["deployments"][0])
    with pytest.raises(InputError, match="generate-spheres"):
        _read(tmp_path, content)


def test_what_is_to_answer_is_read(tmp_path):
    """Nothing in the file of this repository; a problem, or one of its models by its name."""
    assert manifest.read(ROOT / "prefect.yaml").serving == []
    named = {"problem": "table", "model": "wine-target", "port": 8101}
    found = _read(tmp_path, GOOD | {"serving": [{"problem": "spheres", "port": 8100}, named]})
    assert [(one.asked, one.port) for one in found.serving] == [
        ("spheres", 8100),
        ("wine-target", 8101),
    ]
    manifest.check_problems(found.serving, {"spheres", "table"})


@pytest.mark.parametrize(
    ("serving", "said"),
    [
        ([{"problem": "iris", "prot": 1}], "serving 'iris': port: Field required"),
        ([{"problem": "iris", "port": 1, "host": "x"}], "serving 'iris': host: unknown key"),
        ([{"problem": "iris", "port": 70000}], "serving 'iris': port: "),
        ([{"problem": "iris", "port": 0}], "serving 'iris': port: "),
        ([{"problem": "iris", "port": 1, "model": "../x"}], "serving 'iris': model: "),
        ([{"port": 1}], "serving 0: problem: Field required"),
        ([{"problem": name, "port": 1} for name in ("iris", "spheres")], "port 1 is given twice"),
        ("iris", "serving: "),
    ],
)
def test_a_mistake_in_what_is_to_answer_is_refused(tmp_path, serving, said):
    """In one line that names the entry."""
    with pytest.raises(InputError) as error:
        _read(tmp_path, GOOD | {"serving": serving})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_problem_that_is_to_answer_is_refused(tmp_path):
    """With the one that was meant."""
    found = _read(tmp_path, GOOD | {"serving": [{"problem": "irsi", "port": 8100}]})
    said = "prefect.yaml: serving 'irsi': there is no such problem; did you mean 'iris'"
    with pytest.raises(InputError, match=said):
        manifest.check_problems(found.serving, {"iris", "spheres"})


@pytest.mark.parametrize("text", ["a: [", "", "- 1", "deployments: []", "name: x"])
def test_what_is_no_manifest_is_refused(tmp_path, text):
    """Broken YAML and other content give one line, not a traceback."""
    with pytest.raises(InputError) as error:
        _read(tmp_path, text)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    """The path is in the error."""
    with pytest.raises(InputError, match="nowhere"):
        manifest.read(tmp_path / "nowhere.yaml")


def test_a_parameter_that_the_flow_does_not_have_is_refused():
    """The payload would otherwise go to a name that nobody reads."""
    train = next(d for d in manifest.read(ROOT / "prefect.yaml").deployments if d.name == "train")
    manifest.check_parameters(train, {"data"})
    with pytest.raises(InputError, match="data is no parameter of"):
        manifest.check_parameters(train, {"dataset"})


def test_every_event_has_its_emitter():
    """A trigger may expect whatever is in the enum, so each must come from a stage, or from any."""
    of_no_stage = {EventName.CHAIN_FAILED, EventName.DATA_ARRIVED, EventName.LATE}
    assert set(manifest.EMITTED_BY) == set(EventName) - of_no_stage


@pytest.mark.parametrize(
    ("written", "hours"), [("26 hours", 26), ("1 day", 24), ("1.5 days", 36), (7200, 2)]
)
def test_how_fresh_something_is_to_be_is_written_as_people_say_it(tmp_path, written, hours):
    """A number and its unit, or seconds; nothing is awaited of who says nothing."""
    chain = _read(tmp_path, _changed("predict", fresh_within=written))
    found = {entry.name: entry.fresh_within for entry in chain.deployments}
    assert found.pop("predict") == timedelta(hours=hours)
    assert set(found.values()) == {None}


@pytest.mark.parametrize(
    "written", ["soon", "26", "P1D", 0, -1, "0 days", True, [1], "99999 weeks"]
)
def test_a_span_that_is_none_is_refused(tmp_path, written):
    """With the units that there are."""
    with pytest.raises(InputError, match="deployment 'predict': fresh_within: a span of time is"):
        _read(tmp_path, _changed("predict", fresh_within=written))


def test_what_makes_nothing_cannot_be_late(tmp_path):
    """It would be late for ever."""
    with pytest.raises(
        InputError, match="deployment 'reconcile': fresh_within: the flow reconcile"
    ):
        _read(tmp_path, _changed("reconcile", fresh_within="1 day"))


def test_a_rejected_model_is_no_new_champion():
    """It leaves the champion as old as it was."""
    found = {
        entry.name: entry.awaited for entry in manifest.read(ROOT / "prefect.yaml").deployments
    }
    assert found["promote"] == (EventName.MODEL_PROMOTED,)
    assert found["generate-taxi"] == (EventName.DATASET_READY,)
    assert found["reconcile"] == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expect": ["baton.chain.fialed"]}, "baton.chain.failed"),
        ({"expect": []}, "at least 1 item"),
        ({"expects": ["baton.late"]}, "unknown key"),
        ({"match": {"baton.handover": "lost"}}, "'whole' or 'broken'"),
        ({"match": {"handover": "whole"}}, "unknown key"),
        ({"message": "one\ntwo"}, "match pattern"),
        ({"message": "{{ event.payload.raeson }}"}, "baton.chain.failed has no field raeson"),
    ],
)
def test_a_mistake_in_a_notification_is_refused(tmp_path, change, said):
    """Prefect would render a field that is not there as nothing, and match what is no event."""
    content = deepcopy(GOOD)
    content["notifications"][0] |= change
    with pytest.raises(InputError) as error:
        _read(tmp_path, content)
    assert said in str(error.value)
    assert str(error.value).startswith("prefect.yaml: notification 'chain-failed': ")
    assert "\n" not in str(error.value)


def test_two_notifications_of_one_name_are_refused(tmp_path):
    """They would be one automation."""
    content = deepcopy(GOOD)
    content["notifications"].append(content["notifications"][0])
    with pytest.raises(InputError, match="notifications of one name: chain-failed"):
        _read(tmp_path, content)


WATCH = {"problem": "table", "folder": "incoming", "parameters": {"target": "quality"}}


def test_a_watched_folder_is_read_with_all_it_says(tmp_path):
    """None is watched by default; one may be in a bucket."""
    assert manifest.read(ROOT / "prefect.yaml").watch == []
    (found,) = _read(tmp_path, GOOD | {"watch": [WATCH | {"key": r"\d{4}"}]}).watch
    assert (found.folder, found.files, found.begins, found.key) == (
        "incoming",
        "*",
        "generate",
        r"\d{4}",
    )
    for folder in (
        "s3://bucket/incoming/",
        "gs://bucket",
        "abfs://new@acct.dfs.core.windows.net/x",
    ):
        (found,) = _read(tmp_path, GOOD | {"watch": [WATCH | {"folder": folder}]}).watch
        assert found.folder == folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"folders": "x"}, "unknown key"),
        ({"begins": "train"}, "'generate' or 'predict'"),
        ({"folder": "ftp://host/prefix"}, "folders of this machine and buckets (s3://, gs://"),
        ({"folder": "s3://me:hidden@bucket/prefix"}, "without a user"),
        ({"folder": "s3://bucket/prefix/*.csv"}, "files takes one"),
        ({"key": "("}, "no regular expression"),
        ({"problem": "Table"}, "match pattern"),
    ],
)
def test_a_mistake_in_a_watched_folder_is_refused(tmp_path, change, said):
    """In one line."""
    with pytest.raises(InputError, match="watch") as error:
        _read(tmp_path, GOOD | {"watch": [WATCH | change]})
    assert said in str(error.value) and "hidden" not in str(error.value)
