"""Deploying to a real server: what is made, changed, removed, and what is left alone."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import httpx
import pytest
import yaml
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events import AutomationCore
from pydantic import SecretStr

from baton.chain import manifest
from baton.chain.deploying import Sign
from baton.cli import deploying as command
from baton.cli import main
from baton.errors import InputError
from baton.settings import settings
from serving.serve import flow_of, to_deployment
from tasks.platform import api, deployed
from tasks.platform.deploying import Deploy
from tasks.platform.events import access
from tasks.platform.notifying import TAG, register
from tasks.platform.upkeep import prune
from tests.conftest import ROOT

CHAIN = manifest.read(ROOT / "prefect.yaml")
NOBODY, SOMEBODY = SecretStr(""), SecretStr("json://127.0.0.1:9/x")
BY_NAME = {one.name: one for one in CHAIN.deployments}


def _chain(*names, notifications=(), **change):
    """The chain with some of its deployments, and whatever else is changed."""
    entries = [BY_NAME[one] if isinstance(one, str) else one for one in names]
    change |= {"deployments": entries, "notifications": list(notifications)}
    return CHAIN.model_copy(update=change)


SMALL = _chain("train", "predict-taxi")
VARIABLES = {name: {"type": kind} for name, kind in (("command", "string"), ("env", "object"))}
POOL_ASKED = WorkPoolCreate(
    name="baton",
    type="process",
    base_job_template={
        "job_configuration": {name: f"{{{{ {name} }}}}" for name in VARIABLES},
        "variables": {"type": "object", "properties": VARIABLES},
    },
)


@pytest.fixture
def client(prefect):
    """Prefect's own client of a server on which nothing stands but the work pool."""
    with get_client(sync_client=True) as found:
        _clear(found)
        found.create_work_pool(POOL_ASKED, overwrite=True)
        yield found
        _clear(found)


def _clear(client):
    register(CHAIN, NOBODY)
    for one in client.read_automations():
        client.delete_automation(one.id)
    for one in client.read_deployments():
        client.delete_deployment(one.id)


def _deploy(chain, address=NOBODY, **options):
    """Deploy, and return the lines of what that changed."""
    with api.Client(access(), **options) as client:
        asked = Deploy(chain, flow_of, address, client)
        asked.check()
        found = asked.changes()
        asked.apply(found)
        return [line for change in found for line in change.lines()]


def _heads(lines):
    return [line for line in lines if not line.startswith(" ")]


def _ids(client):
    """Ids of all that stands, by name."""
    kinds = (client.read_deployments(limit=200), client.read_automations())
    return {one.name: one.id for kind in kinds for one in kind}


def _apply(event_loop_run, entry):
    """Register an entry as Prefect itself does."""
    return event_loop_run(event_loop_run(to_deployment(entry)).aapply())


def test_the_first_deploy_makes_all_and_the_second_nothing(client):
    """Every deployment, automation and message; all ids are the same then."""
    lines = _deploy(CHAIN, SOMEBODY)
    assert {line[0] for line in _heads(lines)} == {"+"}
    ids = _ids(client)
    declared = [name for one in CHAIN.deployments for name in (one.name, *one.automation_names)]
    messages = [f"{TAG}: {one.name}" for one in CHAIN.notifications]
    assert sorted(ids) == sorted([*declared, *messages])
    assert _deploy(CHAIN, SOMEBODY) == []
    assert _deploy(CHAIN) == []  # the address that stands stays
    assert _ids(client) == ids


def test_what_is_deployed_is_what_the_file_says(client):
    """To Prefect's own client: parameters, schedule, pool, steps and trigger."""
    _deploy(SMALL)
    train, taxi = (
        client.read_deployment_by_name(f"{n}") for n in ("train/train", "predict/predict-taxi")
    )
    assert taxi.parameters == BY_NAME["predict-taxi"].parameters
    assert [one.schedule.cron for one in taxi.schedules] == ["0 * * * *"]
    assert train.entrypoint == "flows/train.py:train"
    assert (train.work_pool_name, train.work_queue_name) == ("baton", "default")
    assert train.pull_steps == [
        {"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}
    ]
    first, second = sorted(client.read_automations(), key=lambda one: one.name)
    assert first.trigger.match.root == {"prefect.resource.id": "baton.dataset.*"}
    assert second.trigger.expect == {"baton.study.finished"}
    assert first.actions[0].deployment_id == train.id
    assert first.actions[0].parameters == {"data": "{{ event.payload }}"}


TAXI = BY_NAME["predict-taxi"]
LIMIT = manifest.Concurrency(limit=2, collision_strategy="CANCEL_NEW")
POOL = manifest.WorkPool(
    name="baton", work_queue_name="fast", job_variables={"env": {"PLACE": "a"}, "command": "b"}
)
CHANGED = {
    "schedules": (
        {"schedules": [manifest.Schedule(cron="5 * * * *", slug="hourly")]},
        ["schedules[0].cron", "schedules[0].slug"],
    ),
    "all but schedules": (
        {
            "parameters": {"problem": "iris"},
            "concurrency_limit": LIMIT,
            "work_pool": POOL,
            "tags": ["x", "y"],
            "description": "another",
            "version": "3",
            "enforce_parameter_schema": False,
        },
        [
            "concurrency_limit",
            "concurrency_options.collision_strategy",
            "description",
            "enforce_parameter_schema",
            "job_variables.command",
            "job_variables.env.PLACE",
            "parameters.parameters.month",
            "parameters.parameters.source",
            "parameters.problem",
            "tags",
            "version",
            "work_queue_name",
        ],
    ),
}


def _fields(lines):
    return sorted(line.strip().partition(": ")[0] for line in lines if line.startswith(" "))


@pytest.mark.parametrize("what", CHANGED)
def test_a_change_is_shown_by_field_and_nothing_else_is_touched(client, what):
    """The same ids; and back again, by the same fields."""
    change, fields = CHANGED[what]
    other = _chain("train", TAXI.model_copy(update=change))
    _deploy(SMALL)
    before = _ids(client)
    for chain in (other, SMALL):
        lines = _deploy(chain)
        assert _heads(lines) == ["~ deployment predict/predict-taxi"]
        assert _fields(lines) == fields
        assert _deploy(chain) == []
    assert _ids(client) == before


def test_a_changed_trigger_changes_its_automation_alone(client):
    """It keeps its id, and so do the others; a trigger that is gone takes its automation along."""
    _deploy(SMALL)
    before = _ids(client)
    first, second = BY_NAME["train"].triggers
    off = BY_NAME["train"].model_copy(
        update={"triggers": [first, second.model_copy(update={"enabled": False})]}
    )
    assert _deploy(_chain(off, "predict-taxi")) == [
        "~ automation train__automation_2 of train/train",
        "    enabled: true → false",
    ]
    assert _ids(client) == before
    less = BY_NAME["train"].model_copy(update={"triggers": [first]})
    assert _deploy(_chain(less, "predict-taxi")) == [
        "- automation train__automation_2 of train/train"
    ]
    assert _ids(client) == {k: v for k, v in before.items() if k != "train__automation_2"}


def test_a_renamed_deployment_is_made_and_the_old_one_goes_with_its_automations(client):
    """New ones are made first, so that no event falls between; nothing else is touched."""
    _deploy(SMALL)
    before = _ids(client)
    other = BY_NAME["train"].model_copy(update={"name": "fit"})
    lines = _deploy(_chain(other, "predict-taxi"))
    assert _heads(lines) == [
        "+ deployment train/fit",
        "+ automation fit__automation_1 of train/fit",
        "+ automation fit__automation_2 of train/fit",
        "- automation train__automation_1 of train/train",
        "- automation train__automation_2 of train/train",
        "- deployment train/train",
    ]
    after = _ids(client)
    assert set(after) == {"fit", "fit__automation_1", "fit__automation_2", "predict-taxi"}
    assert after["predict-taxi"] == before["predict-taxi"]


def test_what_a_person_changed_on_the_server_is_shown_and_put_right(client):
    """Also what the file has no word for: a second action, a count by label."""
    _deploy(SMALL)
    one = next(a for a in client.read_automations() if a.name == "train__automation_1")
    bent = one.model_dump(mode="json", exclude={"id", "owner_resource"})
    bent["trigger"] |= {"for_each": ["prefect.resource.id"], "within": 60}
    bent["actions"].append({"type": "do-nothing"})
    client.update_automation(one.id, AutomationCore.model_validate(bent))
    lines = _deploy(SMALL)
    assert _heads(lines) == ["~ automation train__automation_1 of train/train"]
    assert _fields(lines) == ["actions", "trigger.for_each", "trigger.within"]
    assert _ids(client)["train__automation_1"] == one.id


# --- whose it is ----------------------------------------------------------------------------------


@flow(name="elsewhere")
def elsewhere():
    """Somebody else's."""


def _foreign(client):
    """What others have made: a deployment, and automations on Baton's events."""
    flow_id = client.create_flow_from_name("elsewhere")
    theirs = client.create_deployment(flow_id, name="nightly", tags=["baton", "manifest:other"])
    train = client.read_deployment_by_name("train/train").id
    for name, target, tags in (
        ("nightly__automation_1", theirs, ["manifest:other"]),
        ("ours on their event", theirs, []),
        ("retrain by hand", train, []),
    ):
        client.create_automation(
            AutomationCore(
                name=name,
                tags=tags,
                trigger={"type": "event", "expect": ["baton.drift.detected"]},
                actions=[{"type": "run-deployment", "deployment_id": target}],
            )
        )


def test_what_others_made_is_left_alone(client):
    """By a deploy that removes all but one of its own, and by `baton prune`."""
    _deploy(SMALL)
    ours = set(_ids(client))
    _foreign(client)
    before = {name: one for name, one in _ids(client).items() if name not in ours}
    assert len(before) == 4
    assert _deploy(SMALL) == []
    _deploy(_chain("predict-taxi"))
    prune(_chain("predict-taxi"), access())
    left = _ids(client)
    # `baton prune` removes what starts a deployment that is gone, whoever made it.
    del before["retrain by hand"]
    assert left == before | {"predict-taxi": left["predict-taxi"]}


def test_two_repositories_of_one_server_leave_each_other_alone(client):
    """Each has a name of its own, also where their messages are called the same."""
    one = _chain("train", notifications=CHAIN.notifications[:2])
    fit = BY_NAME["train"].model_copy(update={"name": "fit"})
    other = _chain(fit, name="Other one", notifications=CHAIN.notifications[:1])
    for chain in (one, other):
        lines = _deploy(chain, SOMEBODY)
        assert {line[0] for line in _heads(lines)} == {"+"}
    for chain in (one, other):
        assert _deploy(chain, SOMEBODY) == []
    assert register(one, SOMEBODY) == []  # what a worker's reconcile does
    before = _ids(client)
    assert _heads(_deploy(_chain("train", name="baton"), SOMEBODY)) == [
        f"- notification {TAG}: {entry.name}" for entry in CHAIN.notifications[:2]
    ]
    assert len(client.read_automations()) == 2 + 2 + 1
    assert {"fit", "fit__automation_1", "train"} <= set(_ids(client)) <= set(before)


def test_a_name_that_another_repository_has_is_refused(client):
    """In one line; nothing is changed."""
    _deploy(_chain("train", name="other"))
    before = _ids(client)
    with pytest.raises(InputError, match=r"train/train .* another prefect.yaml \(manifest:other\)"):
        _deploy(SMALL)
    assert _ids(client) == before


def test_a_deployment_of_somebody_elses_is_not_taken_over(client):
    """One of the same name, but of another file and without the tag."""
    flow_id = client.create_flow_from_name("train")
    client.create_deployment(flow_id, name="train", entrypoint="theirs/fit.py:train")
    with pytest.raises(InputError, match=r"train/train on .* is of theirs/fit.py:train"):
        _deploy(SMALL)


def test_what_prefect_itself_deployed_is_taken_over(client, event_loop_run):
    """Deployments and automations keep their ids; a trigger that is gone goes."""
    for entry in SMALL.deployments:
        _apply(event_loop_run, entry)
    before = _ids(client)
    less = BY_NAME["train"].model_copy(update={"triggers": BY_NAME["train"].triggers[:1]})
    lines = _deploy(_chain(less, "predict-taxi"))
    assert _heads(lines) == [
        "~ deployment train/train",
        "~ deployment predict/predict-taxi",
        "~ automation train__automation_1 of train/train",
        "- automation train__automation_2 of train/train",
    ]
    assert '    tags: [] → ["manifest:baton"]' in lines
    assert '    entrypoint: "flows.train.train" → "flows/train.py:train"' in lines
    assert _ids(client) == {k: v for k, v in before.items() if k != "train__automation_2"}


def test_what_prefect_deploys_afterwards_replaces_automations_and_leaves_no_twin(
    client, event_loop_run
):
    """They are owned by their deployment, as those that Prefect makes."""
    _deploy(SMALL)
    _apply(event_loop_run, BY_NAME["train"])
    names = sorted(one.name for one in client.read_automations())
    assert names == list(BY_NAME["train"].automation_names)
    _deploy(SMALL)
    assert sorted(one.name for one in client.read_automations()) == names


def test_an_automation_that_prefect_left_behind_goes(client, event_loop_run):
    """Its deployment was deleted, of an earlier deploy or of Prefect's own."""
    for name in ("train", "evaluate"):
        _apply(event_loop_run, BY_NAME[name])
    _deploy(_chain("train", "predict"))
    for name in ("evaluate/evaluate", "predict/predict"):
        client.delete_deployment(client.read_deployment_by_name(name).id)
    assert _deploy(_chain("train")) == [
        "- automation evaluate__automation_1",
        "- automation predict__automation_1",
        "- automation predict__automation_2",
    ]


def test_what_a_serve_process_registered_is_removed_when_it_is_declared_no_more(
    client, event_loop_run
):
    """It bears the same mark."""
    event_loop_run(event_loop_run(to_deployment(BY_NAME["evaluate"], CHAIN.mark)).aapply())
    assert _heads(_deploy(_chain("predict-taxi"))) == [
        "+ deployment predict/predict-taxi",
        "- automation evaluate__automation_1 of evaluate/evaluate",
        "- deployment evaluate/evaluate",
    ]


def test_what_no_deploy_made_is_named_and_not_removed(client, event_loop_run):
    """A deployment with the tag baton that is declared nowhere."""
    old = BY_NAME["evaluate"].model_copy(update={"name": "evaluate-old"})
    _apply(event_loop_run, old)
    with api.Client(access()) as asking:
        asked = Deploy(SMALL, flow_of, NOBODY, asking)
        asked.apply(asked.changes())
        assert asked.others == ("evaluate/evaluate-old",)
    assert {"evaluate-old", "evaluate-old__automation_1"} <= set(_ids(client))


# --- messages -------------------------------------------------------------------------------------


def test_messages_follow_the_file_and_the_address_is_shown_to_nobody(client):
    """An address that is not given here stays as it is; another one is changed in its block."""
    two = _chain("train", notifications=CHAIN.notifications[:2])
    lines = _deploy(two, SOMEBODY)
    assert "127.0.0.1:9" not in str(lines)
    before = _ids(client)
    other = CHAIN.notifications[0].model_copy(update={"message": "Baton: look"})
    lines = _deploy(_chain("train", notifications=[other, CHAIN.notifications[1]]))
    assert _heads(lines) == [f"~ notification {TAG}: chain-failed"]
    assert _deploy(two, SecretStr("json://127.0.0.1:9/y"))[:2] == [
        f"~ address {TAG}",
        '    address: "another one" → "as BATON_NOTIFY says"',
    ]
    assert _ids(client) == before


# --- whatever goes wrong --------------------------------------------------------------------------


class _CutOff(httpx.HTTPTransport):
    """A network that is gone after so many writes."""

    def __init__(self, writes):
        super().__init__()
        self.left = writes

    def handle_request(self, request):
        is_read = request.method == "GET" or request.url.path.endswith("/filter")
        self.left -= not is_read
        if self.left < 0:
            raise httpx.ConnectError("cut off", request=request)
        return super().handle_request(request)


def test_a_deploy_that_is_cut_off_is_finished_by_the_next(client):
    """After each of its writes; what one made, the next leaves as it is."""
    _deploy(_chain(BY_NAME["train"].model_copy(update={"name": "fit"})))
    made, n_cut = _ids(client), 0
    while n_cut < 20:
        try:
            _deploy(SMALL, waits=(), transport=_CutOff(2))  # a flow, and its deployment
            break
        except api.UnavailableError:
            n_cut += 1
        after = _ids(client)
        assert after != made
        assert all(after[name] == made[name] for name in set(made) & set(after))
        made = after
    assert n_cut >= 4
    assert set(_ids(client)) == {"train", "predict-taxi", *BY_NAME["train"].automation_names}
    assert _deploy(SMALL) == []


def test_two_deploys_at_once_leave_no_twin(client):
    """Of what both made, both keep the same one."""
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(copy_context().run, _deploy, SMALL) for _ in range(2)]
        assert all(one.result() is not None for one in both)
    names = sorted(one.name for one in client.read_automations())
    assert names == list(BY_NAME["train"].automation_names)
    assert _deploy(SMALL) == []


def test_a_server_that_gives_small_pages_is_read_as_a_whole(client, monkeypatch):
    """A server gives 200 of a kind at once."""
    _deploy(CHAIN)
    monkeypatch.setattr(deployed, "_PAGE", 3)
    assert _deploy(CHAIN) == []


def test_a_work_pool_that_is_missing_is_one_line_with_the_way_to_make_it(client):
    """Before anything is changed."""
    pool = manifest.WorkPool(name="somewhere else")
    entry = BY_NAME["train"].model_copy(update={"work_pool": pool})
    with pytest.raises(InputError, match=r"make it: `prefect work-pool create 'somewhere else'"):
        _deploy(_chain(entry))
    assert _ids(client) == {}


def test_what_the_server_refuses_is_one_line_that_names_the_deployment(client):
    """Such as a job variable of a kind that the pool's template does not take."""
    pool = manifest.WorkPool(name="baton", job_variables={"command": 3})
    entry = BY_NAME["train"].model_copy(update={"work_pool": pool})
    with pytest.raises(InputError, match=r"the server refuses deployment train/train: ") as error:
        _deploy(_chain(entry))
    assert "\n" not in str(error.value)


def test_nothing_is_changed_by_looking(client):
    """`--check` asks for the difference alone."""
    with api.Client(access(), transport=_CutOff(0)) as asking:
        asked = Deploy(SMALL, flow_of, NOBODY, asking)
        asked.check()
        assert {one.sign for one in asked.changes()} == {Sign.MAKE}
    assert _ids(client) == {}


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def asked(client, tmp_path, monkeypatch, capsys):
    """`baton deploy` in this process, of a prefect.yaml that says this."""
    there = access()
    monkeypatch.setenv("PREFECT_API_URL", there.address)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", there.auth_string)
    monkeypatch.setenv("BATON_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BATON_NOTIFY", raising=False)
    monkeypatch.setattr(command, "MANIFEST", tmp_path / "prefect.yaml")

    def run(content, *options, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        (tmp_path / "prefect.yaml").write_text(yaml.safe_dump(content))
        with pytest.raises(SystemExit) as end:
            main(["deploy", *options])
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    yield run
    settings.cache_clear()


TRAIN = {
    "name": "baton",
    "deployments": [
        {"name": "train", "entrypoint": "flows/train.py:train", "work_pool": {"name": "baton"}}
    ],
}


def test_the_command_shows_what_it_does_and_its_code_says_whether_there_is_a_difference(asked):
    """0 if there is none, 1 if there is and it only looks; after a deploy 0."""
    code, out, _ = asked(TRAIN, "--check")
    assert (code, out.splitlines()[0]) == (1, "+ deployment train/train")
    assert out.endswith("\n1 to make, 0 to change, 0 to remove\n")
    code, out, _ = asked(TRAIN)
    assert (code, out.splitlines()[-1]) == (0, "1 made, 0 changed, 0 removed")
    assert asked(TRAIN, "--check") == (0, "nothing to change\n", "")
    again = TRAIN | {"deployments": [TRAIN["deployments"][0] | {"tags": ["a"]}]}
    code, out, _ = asked(again, "--check", "--json")
    (change,) = json.loads(out)["changes"]
    assert code == 1
    assert (change["change"], change["name"]) == ("~", "train/train")
    assert change["fields"] == [
        {"field": "tags", "before": ["manifest:baton"], "after": ["a", "manifest:baton"]}
    ]
    code, out, _ = asked(again, "--json")
    assert (code, json.loads(out)["applied"]) == (0, True)
    assert asked(again) == (0, "nothing to change\n", "")


def test_the_command_says_what_it_leaves_alone(asked, event_loop_run):
    """By its name, and what removes it."""
    old = BY_NAME["evaluate"].model_copy(update={"name": "evaluate-old"})
    _apply(event_loop_run, old)
    _, out, _ = asked(TRAIN)
    assert "left alone: evaluate/evaluate-old: " in out
    assert "`baton prune`" in out


def _with(**change):
    return TRAIN | {"deployments": [TRAIN["deployments"][0] | change]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (_with(expects=[]), "prefect.yaml: deployment 'train': expects: unknown key"),
        (_with(work_pool=None), "has no work_pool"),
        (_with(work_pool={"name": "gpu"}), "`prefect work-pool create gpu --type process`"),
        (_with(parameters={"dta": 1}), "dta is no parameter of flows/train.py:train"),
        (_with(entrypoint="flows/nobody.py:train"), "there is no flow flows/nobody.py:train"),
        (TRAIN | {"build": [{"a": {}}]}, "prefect.yaml: build: "),
    ],
)
def test_a_mistake_in_the_file_is_one_line_and_code_2(asked, client, content, said):
    """Before anything is changed, with and without `--check`."""
    for options in ([], ["--check"]):
        code, out, err = asked(content, *options)
        assert (code, out, err.count("\n"), said in err) == (2, "", 1, True), err
    assert _ids(client) == {}


def test_a_server_that_cannot_be_asked_is_one_line_and_code_2(asked):
    """Nobody is there, or none is named."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}/api"
    for environment, told in (
        ({"PREFECT_API_URL": nobody}, f"no Prefect server answers at PREFECT_API_URL={nobody}"),
        ({"PREFECT_API_URL": ""}, "PREFECT_API_URL is not set"),
    ):
        code, out, err = asked(TRAIN, "--check", **environment)
        assert (code, out, err.count("\n"), told in err) == (2, "", 1, True), err
