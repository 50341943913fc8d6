"""The documentation site: it builds without a warning and has everything a user can write."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pydantic import BaseModel

from baton import problems
from baton.chain import events, manifest
from baton.cli import app
from baton.evaluation import metrics
from baton.models import FAMILIES
from baton.settings import Settings
from baton.terms import Options
from serving.pages.application import application
from serving.pages.desk import Desk
from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "docs/_ext"))

import baton_site
import chain_picture
import reference
import typenames

CHAIN = manifest.read(ROOT / "prefect.yaml")
OWN = [name for name in problems.names() if type(problems.get(name)).__module__.startswith("baton")]


@dataclass
class Seen(HTMLParser):
    """What stands on a page."""

    rows: dict[str, str] = field(default_factory=dict)
    """Last cell of each table row by its first one."""
    sections: dict[str, dict[str, str]] = field(default_factory=dict)
    """The same of the rows below each heading."""
    headings: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    images: list[tuple[str, str]] = field(default_factory=list)
    svg: str = ""
    _cells: list[str] = field(default_factory=list)
    _in: list[str] = field(default_factory=list)

    def __post_init__(self):
        super().__init__()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag in {"a", "link"} and found.get("href"):
            self.links.append(found["href"])
        if tag == "img":
            self.images.append((found["src"], found.get("alt", "")))
        if tag == "tr":
            self._cells = []
        if tag in {"td", "h1", "h2", "h3", "svg"}:
            self._in.append(tag)
            if tag == "td":
                self._cells.append("")
            elif tag != "svg":
                self.headings.append("")

    def handle_endtag(self, tag):
        if self._in and self._in[-1] == tag:
            self._in.pop()
        if tag == "tr" and self._cells:
            row = {self._cells[0].strip(): self._cells[-1].strip()}
            self.rows |= row
            self.sections.setdefault(self.headings[-1], {}).update(row)

    def handle_data(self, data):
        if "svg" in self._in:
            self.svg += f"{data}\n"
        elif self._in and self._in[-1] == "td":
            self._cells[-1] += data
        elif self._in:
            self.headings[-1] += data.replace("¶", "")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; a warning fails it."""
    target = tmp_path_factory.mktemp("site")
    options = ["-q", "-W", "--keep-going", "-E", "-d", target / "trees", "-b", "html"]
    command = [sys.executable, "-m", "sphinx", *options, ROOT / "docs", target / "html"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target / "html"


def seen(path: Path) -> Seen:
    found = Seen()
    found.feed(path.read_text("utf-8"))
    return found


def require_rows(page: Seen, names, where, below=""):
    """Each name has a row, below a heading if one is named, with something in its last cell."""
    rows = page.sections.get(below, {}) if below else page.rows
    for name in names:
        assert rows.get(name), f"{where} does not describe {below} {name}"


# --- everything is there


def test_every_command_and_its_arguments_are_described(site):
    """By a heading, and a row for each argument."""
    page = seen(site / "reference/commands.html")
    for name in app:
        if name.startswith("-"):
            continue
        assert f"baton {name}" in page.headings
        for argument in app[name].assemble_argument_collection():
            named = ", ".join(argument.names)
            require_rows(page, [named], "reference/commands", f"baton {name}")


def test_every_setting_is_described(site):
    """By its environment variable."""
    variables = [
        field.validation_alias.choices[0] if field.validation_alias else f"BATON_{name}".upper()
        for name, field in Settings.model_fields.items()
    ]
    require_rows(seen(site / "reference/settings.html"), variables, "reference/settings")


def models_below(model):
    found = [model]
    for one in found:
        text = " ".join(str(f.annotation) for f in one.model_fields.values())
        below = [m for m in BaseModel.__subclasses__() for m in [m, *_subclasses(m)]]
        found += [m for m in below if m not in found and re.search(_name(m), text)]
    return found


def _subclasses(model):
    return [m for one in model.__subclasses__() for m in [one, *_subclasses(one)]]


def _name(model):
    return rf"\b{re.escape(f'{model.__module__}.{model.__qualname__}')}\b"


def test_every_event_and_every_field_of_its_payload_is_described(site):
    """With the fields of what a payload holds."""
    page = seen(site / "reference/events.html")
    kinds = [events.kind_of(name) for name in events.EventName]
    assert all(kinds)
    assert {*_subclasses(events.Event), events.Late} == set(kinds)
    for kind in kinds:
        assert kind.event.value in page.headings
        for model in models_below(kind):
            below = model.event.value if model in kinds else model.__name__
            require_rows(page, model.model_fields, "reference/events", below)


def test_every_key_of_prefect_yaml_is_described(site):
    """And every deployment that it declares."""
    page = seen(site / "reference/prefect-yaml.html")
    models = models_below(manifest.Manifest)
    assert {m.__name__ for m in models} >= {"Manifest", "Deployment", "Trigger", "Schedule"}
    for model in models:
        assert model.__name__ in page.headings
        keys = [field.alias or name for name, field in model.model_fields.items()]
        require_rows(page, keys, "reference/prefect-yaml", model.__name__)
    require_rows(page, [d.name for d in CHAIN.deployments], "reference/prefect-yaml")


def test_every_address_of_the_pages_is_described(site, tmp_path):
    """By its method and path, as the application answers them."""
    app = application(Desk(Settings(home=tmp_path), CHAIN, tmp_path))
    paths = app.openapi()["paths"]
    asked = {f"{method.upper()} {path}" for path, ways in paths.items() for method in ways}
    beside = {"GET /health", "GET /static/{name}", "GET /favicon.ico"}
    assert asked >= beside and len(asked) > 25
    require_rows(seen(site / "reference/pages.html"), asked - beside, "reference/pages")


def test_every_option_is_described(site):
    """Of any chain."""
    page = seen(site / "reference/options.html")
    require_rows(page, Options.model_fields, "reference/options")


@pytest.mark.parametrize("name", OWN)
def test_every_problem_has_a_page_with_its_parameters(site, name):
    """What it predicts, the data, the golden numbers and what originals get wrong."""
    page = seen(site / f"problems/{name}.html")
    assert {
        "What it predicts",
        "Where the data is from",
        "Golden numbers",
        "What originals get wrong",
    } <= set(page.headings)
    require_rows(page, problems.get(name).params.model_fields, f"problems/{name}")


def test_every_family_of_models_is_described(site):
    """With each hyperparameter that has a default or is worth tuning."""
    page = seen(site / "reference/models.html")
    for name, family in FAMILIES.items():
        assert name in page.headings
        for kind in family.kinds:
            for key in [*family.defaults(kind, 1000), *family.space(kind)]:
                assert key in page.sections[name], f"{name}.{key}"


def test_every_metric_is_described(site):
    """By the name in results and ``--json``."""
    assert set(metrics.INFO) <= set(seen(site / "reference/metrics.html").rows)


# --- what is missing is noticed


class Bare(BaseModel):
    """A model with a field that nobody described."""

    forgotten: int = 0


def test_a_missing_description_fails():
    """Of a field, of a model, and a part that does not exist."""
    with pytest.raises(reference.UndescribedError, match=r"Bare\.forgotten"):
        reference.fields(Bare)
    with pytest.raises(reference.UndescribedError, match="setting X"):
        reference.described("  ", "setting X")
    with pytest.raises(LookupError, match=r"no part 'sittings'; there are: .*settings"):
        baton_site.filled("<!-- baton: sittings -->")


# --- links, pictures, doctests


def test_every_link_leads_somewhere(site):
    """Each link to a file of the site, and its fragment to a place there."""
    pages = {path.resolve(): seen(path) for path in site.rglob("*.html")}
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].ids, f"{path.name}: {link}"


def test_every_picture_is_there_small_and_told_in_words(site):
    """As a file of the site, below 150 kB, with a text in its place."""
    for path in site.rglob("*.html"):
        for source, text in seen(path).images:
            assert (path.parent / source).stat().st_size < 150_000, source
            assert len(text) > 20, f"{source} has no text in its place"
    shown = {Path(s).name for path in site.rglob("*.html") for s, _ in seen(path).images}
    assert shown == {path.name for path in (ROOT / "docs/_static/screenshots").iterdir()}


@pytest.mark.parametrize("module", [typenames, reference, chain_picture, baton_site])
def test_doctests_of_the_builder_hold(module):
    """Those of Baton itself are collected from its sources."""
    assert doctest.testmod(module).failed == 0


# --- the picture of the chain


def test_the_picture_names_every_stage_and_event(site):
    """On the front page and beside the keys of prefect.yaml, with a title and a description."""
    for name in ("index.html", "reference/prefect-yaml.html"):
        said = seen(site / name).svg
        words = set(said.split("\n"))
        assert {d.flow_name for d in CHAIN.deployments} <= words
        assert {event.value for event in manifest.EMITTED_BY} <= words
        schedules = [s for d in CHAIN.deployments for s in d.schedules]
        assert all((s.cron or f"{s.interval:g} s") in said for s in schedules)
        assert "The chain" in words
        assert "baton.dataset.ready, announced by generate, starts" in said


def changed(**triggers):
    """The chain with more triggers for some deployments."""
    deployments = [
        d.model_copy(update={"triggers": [*d.triggers, *triggers.get(d.name, [])]})
        for d in CHAIN.deployments
    ]
    return CHAIN.model_copy(update={"deployments": deployments})


def trigger(event, **labels):
    match = manifest.Match.model_validate({"prefect.resource.id": "baton.*", **labels})
    return manifest.Trigger.model_construct(expect=[event], match=match, enabled=True)


def test_a_condition_is_a_dashed_arrow_with_its_label():
    """A trigger that asks for a label of the event; others are whole lines."""
    plain = changed()
    usual = plain.model_copy(
        update={"deployments": [d for d in plain.deployments if d.name == "evaluate"]}
    )
    assert "dasharray" not in chain_picture.draw(usual)
    asking = trigger(events.EventName.MODEL_TRAINED, **{"baton.notebook": "yes"})
    drawn = chain_picture.draw(changed(reconcile=[asking]))
    assert "dasharray" in drawn
    assert ">baton.notebook: yes<" in drawn


def test_no_two_boxes_overlap_however_events_lead():
    """Several events into one stage, one past another stage, one that closes a circle."""
    names = events.EventName
    chain = changed(
        evaluate=[trigger(names.DATASET_READY)],
        predict=[trigger(names.MODEL_EVALUATED), trigger(names.MODEL_TRAINED)],
        reconcile=[trigger(names.MODEL_TRAINED)],
        **{"generate-taxi": [trigger(names.PREDICTIONS_READY)]},
    )
    drawn = chain_picture.draw(chain)
    numbers = r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"'
    boxes = [tuple(map(float, found)) for found in re.findall(numbers, drawn)]
    assert len(boxes) == len({d.flow_name for d in CHAIN.deployments})
    for n, (x, y, width, height) in enumerate(boxes):
        for x2, y2, width2, height2 in boxes[:n]:
            apart = x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y
            assert apart
    size = re.search(r'viewBox="0 0 (\d+) (\d+)"', drawn)
    assert all(x + w <= int(size[1]) and y + h <= int(size[2]) for x, y, w, h in boxes)
    added = 5
    assert drawn.count('class="arrow"') >= added + len(manifest.EMITTED_BY) - 1
