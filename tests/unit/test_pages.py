"""Baton's pages: forms that follow from parameters, the picture of a chain, what is said of it."""

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import BaseModel, Field

from baton import problems
from baton.chain import runs
from baton.chain.events import Stage
from baton.chain.runs import StageRun
from baton.errors import InputError
from baton.terms import Kind, Options
from serving.pages import drawing, telling
from serving.pages.beginning import form_of as form_of_problem
from serving.pages.forms import Form, as_of_a_form, errors_of, form_of, joined, unknown
from serving.pages.layout import Link, assets
from tests.unit.test_runs import CHAIN, EVENTS, FLOWS, REFUSED, RUNS, SEARCHED, _chain


class Asked(BaseModel):
    """Parameters of each sort."""

    target: str = Field(description="what to predict")
    rows: int = Field(10, ge=1, description="how many")
    share: float | None = None
    kind: Kind | None = None
    is_quick: bool = False
    is_kept: bool = True
    names: tuple[str, ...] = ("a", "b")


@pytest.mark.parametrize("name", problems.names())
def test_each_problem_has_a_form_of_all_its_parameters_and_of_the_options(name):
    """Each field once, with what it is and what it is by default."""
    problem = problems.get(name)
    form = form_of_problem(problem)
    names = [one.name for one in form.fields]
    assert sorted(names) == sorted({*problem.params.model_fields, *Options.model_fields})
    assert all(one.help for one in form.fields)


def test_a_field_follows_from_the_type_of_its_parameter():
    """A number, a choice, a flag, or text; a flag that is on is a choice, lest off be nothing."""
    form = form_of(Asked)
    kinds = {one.name: one.kind for one in form.fields}
    assert kinds == {
        "target": "text",
        "rows": "number",
        "share": "number",
        "kind": "choice",
        "is_quick": "flag",
        "is_kept": "choice",
        "names": "text",
    }
    assert form["target"].is_needed
    assert (form["rows"].default, form["names"].default) == ("10", "a, b")
    assert form["kind"].choices == ("classification", "regression")


def test_what_was_typed_is_kept_beside_what_is_wrong_with_it():
    """A line for each field; what is left empty is not given."""
    form = form_of(Asked).filled({"rows": "none", "share": " ", "kind": "other"})
    assert form.given == {"rows": "none", "kind": "other"}
    refused = form.refused(errors_of(Asked, form.given))
    assert {one.name for one in refused.wrong} == {"target", "rows", "kind"}
    assert refused["rows"].value == "none"
    assert refused["target"].error == "It is needed."
    assert all(one.error.endswith(".") and "\n" not in one.error for one in refused.wrong)


def test_a_refusal_stands_at_the_field_that_it_names():
    """Else above all of them; what the command is told to add is said without its flag."""
    form = form_of(Asked)
    at_field = form.refused_by(InputError("target 'x' is no column; did you mean y?"))
    assert at_field["target"].error.startswith("target 'x'")
    assert not at_field.error
    above = form.refused_by(InputError("no column is left: -p drop=a,b"))
    assert above.error == "no column is left: drop=a,b"
    assert not above.wrong
    assert as_of_a_form("the-p x=1, add -p y=2") == "the-p x=1, add y=2"


def test_a_name_that_is_no_field_is_refused():
    """Nothing that is sent is passed over in silence."""
    assert unknown({"rows": "1"}, form_of(Asked)) == ""
    assert unknown({"rowz": "1"}, form_of(Asked)) == "the form has no field 'rowz'"


def test_of_two_forms_the_first_has_its_field():
    """A problem's own parameter comes before an option of that name."""
    first = Form((replace(form_of(Asked)["rows"], help="mine"),))
    assert joined(first, form_of(Asked))["rows"].help == "mine"


def test_a_chain_is_drawn_from_left_to_right_with_its_arrows():
    """Each stage right of those that start it; two that one starts stand below each other."""
    labels = Options(tune=True, notebook="tour").labels
    stages = [StageRun(stage) for stage in CHAIN.stages(Stage.GENERATE, labels)]
    drawn = drawing.picture(stages, CHAIN, labels)
    places = {box.run.stage.value: (box.column, box.row) for box in drawn.boxes}
    assert places["generate"] < places["tune"] < places["train"] < places["evaluate"]
    assert {places["promote"], places["notebook"]} == {(4, 0), (4, 1)}
    arrows = {(one.run.stage.value, other.run.stage.value) for one, other in drawn.arrows}
    assert ("tune", "train") in arrows
    assert ("generate", "train") not in arrows, "the search stands between"
    assert all(box.x + drawn.box_width <= drawn.width for box in drawn.boxes)
    assert drawing.picture([], CHAIN).boxes == ()


def test_each_stage_says_what_started_it():
    """The event before, or whoever began the chain; of one that waits nothing is known yet."""
    chain = runs.with_events(_chain(), EVENTS, CHAIN)
    assert telling.causes_of(chain, EVENTS, CHAIN) == {
        Stage.GENERATE: "a person or a program",
        Stage.TUNE: "baton.dataset.ready",
        Stage.TRAIN: "baton.study.finished",
        Stage.EVALUATE: "baton.model.trained",
        Stage.PROMOTE: "baton.model.evaluated",
    }
    scheduled = replace(chain.stages[0], created_by="SCHEDULE")
    waiting = replace(chain, stages=(scheduled, StageRun(Stage.TRAIN)))
    assert telling.causes_of(waiting, [], CHAIN) == {Stage.GENERATE: "its schedule"}


def test_what_a_chain_made_leads_to_its_pages(tmp_path):
    """What is not in this home is named, and leads nowhere."""
    chain = runs.with_events(_chain(), EVENTS, CHAIN)
    made = telling.made_by(chain, None, tmp_path)
    assert made.metrics[0][0] == chain.evaluated.data.headline
    assert {one.title for one in made.tables} >= {"raw", "features", "predictions", "metrics"}
    assert {one.path for one in made.tables} == {""}
    place = tmp_path / chain.evaluated.metrics.key
    place.parent.mkdir(parents=True)
    place.touch()
    found = {one.title: one.path for one in telling.made_by(chain, None, tmp_path).tables}
    assert found["metrics"] == f"/tables/{chain.evaluated.metrics.key.removesuffix('.parquet')}"


def test_the_same_chain_is_asked_for_again_by_a_form_that_is_filled():
    """By the parameters and options that it began with."""
    begun = runs.begun(RUNS, FLOWS, SEARCHED)
    path = urlsplit(telling.again(begun))
    assert path.path == "/problems/spheres"
    given = dict(parse_qsl(path.query))
    assert given["tune"] == "true"
    form = form_of_problem(problems.get("spheres")).filled(given)
    assert (
        errors_of(Options, {k: v for k, v in form.given.items() if k in Options.model_fields}) == {}
    )
    refused = runs.begun(RUNS, FLOWS, REFUSED)
    assert telling.again(refused).startswith(("/table?", "/problems/table?"))
    assert telling.again(replace(begun, stage=Stage.TRAIN)) == ""


def test_a_chain_is_about_its_target_and_its_file():
    """Also before it has made anything."""
    begun = runs.begun(RUNS, FLOWS, SEARCHED)
    assert telling.title_of(begun, None) == "spheres"
    given = {"parameters": {"path": "/data/wine.csv", "target": "quality"}}
    assert telling.title_of(replace(begun, parameters=given), None) == "quality from wine.csv"
    again = {"data": {"target": "quality", "source": "wine.csv"}}
    assert telling.title_of(replace(begun, parameters=again), None) == "quality from wine.csv"


def test_how_far_a_chain_is_is_said_in_a_sentence():
    """For those who listen rather than look."""
    chain = _chain()
    seen = telling.Seen(chain.id, "spheres", "", chain, None, {}, telling.Made(), is_told=True)
    assert (seen.said, seen.is_over) == ("5 of 5 stages done.", True)
    assert not replace(seen, is_told=False).is_over, "its last event is not there yet"
    going = replace(chain.stages[1], state="RUNNING")
    waiting = [StageRun(run.stage) for run in chain.stages[2:]]
    half = replace(chain, stages=(chain.stages[0], going, *waiting))
    said = replace(seen, chain=half).said
    assert said == "tune running; 1 of 5 stages done."


def test_the_navigation_knows_where_a_page_belongs():
    """Home is itself alone."""
    assert Link("Chains", "/chains").is_at("/chains/0123456789ab")
    assert not Link("Chains", "/chains").is_at("/chainsaw")
    assert not Link("New chain", "/").is_at("/chains")


def test_style_and_script_ask_nobody_else():
    """No address stands in them."""
    for name, found in assets().items():
        text = found.content.decode()
        addresses = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert "//" not in addresses.replace("\n// ", "\n").removeprefix("// "), name
        assert "@import" not in text
