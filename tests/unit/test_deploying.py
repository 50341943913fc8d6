"""What a deploy changes, without a server."""

import pytest

from baton.chain import deploying, manifest
from baton.chain.deploying import Sign, Standing, Wanted, What, changes
from baton.errors import InputError
from tests.conftest import ROOT

CHAIN = manifest.read(ROOT / "prefect.yaml")
TRAIN = {"tags": ["baton"], "parameters": {"rows": 5}, "schedules": [{"cron": "0 * * * *"}]}


def _wanted(what, name, of="", **content):
    return Wanted(what, name, content, of)


def _standing(what, name, of="", id="1", **content):
    return Standing(what, name, content, of, id)


def _lines(wanted, standing):
    return [line for change in changes(wanted, standing) for line in change.lines()]


def test_what_stands_as_wanted_is_no_change():
    """Nothing is done, whatever the order of keys."""
    turned = dict(reversed(TRAIN.items()))
    one = _standing(What.DEPLOYMENT, "train/train", **turned)
    assert changes([_wanted(What.DEPLOYMENT, "train/train", **TRAIN)], [one]) == ()


def test_a_change_names_each_field_that_is_another():
    """As deep as it is the same thing; what comes or goes as a whole is told by its parts."""
    now = TRAIN | {"parameters": {"seed": {"of": 1}}, "schedules": [{"cron": "5 * * * *"}]}
    standing = [_standing(What.DEPLOYMENT, "train/train", **TRAIN, job_variables={"env": {"P": 1}})]
    assert _lines([_wanted(What.DEPLOYMENT, "train/train", **now)], standing) == [
        "~ deployment train/train",
        "    parameters.seed.of: none → 1",
        "    parameters.rows: 5 → none",
        '    schedules[0].cron: "0 * * * *" → "5 * * * *"',
        '    job_variables.env.P: "(hidden)" → none',
    ]


def test_a_value_of_the_environment_of_runs_is_shown_to_nobody():
    """Neither in the lines nor in the JSON."""
    old, new = ({"job_variables": {"env": {"TOKEN": text}}} for text in ("geheim-1", "geheim-2"))
    (change,) = changes(
        [_wanted(What.DEPLOYMENT, "a/a", **new)], [_standing(What.DEPLOYMENT, "a/a", **old)]
    )
    assert [one.path for one in change.fields] == ["job_variables.env.TOKEN"]
    assert "geheim" not in f"{list(change.lines())} {change.as_json()}"


def test_a_new_thing_is_told_with_what_it_says():
    """Empty fields, and the flow's schema, are left out of the lines."""
    content = TRAIN | {"version": None, "parameter_openapi_schema": {"type": "object"}}
    assert _lines([_wanted(What.DEPLOYMENT, "train/train", **content)], []) == [
        "+ deployment train/train",
        '    tags: ["baton"]',
        "    parameters.rows: 5",
        '    schedules[0].cron: "0 * * * *"',
    ]


def test_things_are_made_before_they_are_started_and_removed_after():
    """Deployments, automations; then the automations that go, and their deployments."""
    kinds = (What.NOTIFICATION, What.AUTOMATION, What.DEPLOYMENT)
    found = changes(
        [_wanted(what, "new") for what in kinds], [_standing(what, "old") for what in kinds]
    )
    assert [(one.sign, one.subject.what) for one in found] == [
        (Sign.MAKE, What.DEPLOYMENT),
        (Sign.MAKE, What.AUTOMATION),
        (Sign.MAKE, What.NOTIFICATION),
        (Sign.REMOVE, What.NOTIFICATION),
        (Sign.REMOVE, What.AUTOMATION),
        (Sign.REMOVE, What.DEPLOYMENT),
    ]
    assert deploying.summed_up(found, are_done=False) == "3 to make, 0 to change, 3 to remove"


def test_of_twins_the_same_one_stays_whoever_looks():
    """Two deploys at once may both make an automation."""
    one = _wanted(What.AUTOMATION, "a__automation_1", "a/a", enabled=True)
    both = [
        _standing(What.AUTOMATION, "a__automation_1", "a/a", id=n, enabled=True) for n in ("9", "3")
    ]
    for order in (both, both[::-1]):
        (gone,) = changes([one], order)
        assert (gone.sign, gone.standing.id) == (Sign.REMOVE, "9")


def test_automations_of_one_name_and_two_deployments_are_two_things():
    """So renaming a deployment makes one and removes the other."""
    wanted = [_wanted(What.AUTOMATION, "a", "train/new")]
    signs = [one.sign for one in changes(wanted, [_standing(What.AUTOMATION, "a", "train/old")])]
    assert signs == [Sign.MAKE, Sign.REMOVE]


def test_a_script_reads_the_same():
    """Every field with its old and new value."""
    old, new = TRAIN, TRAIN | {"tags": []}
    (change,) = changes(
        [_wanted(What.DEPLOYMENT, "train/train", **new)],
        [_standing(What.DEPLOYMENT, "train/train", **old)],
    )
    assert change.as_json() == {
        "change": "~",
        "what": "deployment",
        "name": "train/train",
        "of": None,
        "fields": [{"field": "tags", "before": ["baton"], "after": []}],
    }


def test_the_chain_of_this_repository_can_be_deployed():
    """It says nothing that a deploy would leave out."""
    deploying.check(CHAIN)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"work_pool": None}, "deployment 'train' has no work_pool"),
        ({"parameters": {"data": "{{ $HOME }}"}}, "is a template"),
        ({"tags": ["{{ prefect.variables.x }}"]}, "is a template"),
        (
            {"work_pool": manifest.WorkPool(name="p", job_variables={"image": "{{ $IMAGE }}"})},
            "is a template",
        ),
    ],
)
def test_what_a_deploy_would_leave_out_is_refused(change, said):
    """In one line that names the deployment."""
    (train,) = (one for one in CHAIN.deployments if one.name == "train")
    changed = CHAIN.model_copy(update={"deployments": [train.model_copy(update=change)]})
    with pytest.raises(InputError, match=said) as error:
        deploying.check(changed)
    assert "\n" not in str(error.value)


def test_what_a_worker_fills_in_is_left_to_it():
    """Blocks and variables in job variables are looked up when a run starts."""
    (train,) = (one for one in CHAIN.deployments if one.name == "train")
    late = {"env": {"PASSWORD": "{{ prefect.blocks.secret.shop }}"}}
    pool = manifest.WorkPool(name="p", job_variables=late)
    entry = train.model_copy(update={"work_pool": pool})
    deploying.check(CHAIN.model_copy(update={"deployments": [entry]}))


@pytest.mark.parametrize("key", ["build", "push"])
def test_steps_of_a_build_are_refused(key):
    """`prefect deploy` takes them; here they would be left out in silence."""
    with pytest.raises(InputError, match=f"prefect.yaml: {key}: "):
        deploying.check(CHAIN.model_copy(update={key: [{"a.step": {}}]}))
