"""The report."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from baton.evaluation.importance import Importance
from baton.evaluation.shapley import ShapValues, global_importance
from baton.showing.plots import metric_intervals
from baton.showing.report import (
    Contribution,
    Data,
    Explanation,
    File,
    Image,
    Measured,
    Model,
    Report,
    ReportTable,
    Standing,
    class_importance_table,
    contributions,
    environment,
    importance_table,
    measured,
    render,
    rows_worth_explaining,
)
from baton.terms import Kind
from baton.words.text import elided

EVIL = "<script>alert('x')</script> & \"'"
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """A page, checked while it is read: every tag is closed, by its own name."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.attributes, self.words = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, attrs)
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def of(self, wanted):
        return [attributes for tag, attributes in self.attributes if tag == wanted]


@pytest.fixture(scope="session")
def image():
    picture = metric_intervals({"accuracy": 0.9}, {"accuracy": (0.8, 1.0)}, {"accuracy": 0.5})
    return Image.of(picture)


def minimal(**more):
    table = File(key="iris/0123456789abcdef/features.parquet", digest="ab" * 32, n_rows=150)
    content = {
        "problem": "iris",
        "kind": Kind.CLASSIFICATION,
        "target": "species",
        "headline": "accuracy",
        "chain": "0123456789ab",
        "created": datetime(2025, 1, 2, 3, 4, tzinfo=UTC),
        "model": Model(uri="models:/baton-iris/1", version=1, family="xgboost"),
        "data": Data(raw=table, features=table, n_train=100, n_test=150),
        "metrics": (),
        "command": "baton run iris",
    }
    return Report(**(content | more))


def full(image, text=EVIL):
    """Everything that a report can hold, each of its texts hostile."""
    table = File(key=text, digest=text, n_rows=1)
    evil = image.model_copy(update={"title": text, "alt": text, "caption": text})
    lines = ReportTable(caption=text, columns=(text, text), rows=((text, 1.5),) * 30, note=text)
    return minimal(
        problem=text,
        target=text,
        title=text,
        summary=text,
        columns=lines,
        chain=text,
        command=text,
        model=Model(uri=text, version=2, family=text, params={text: text}, digest=text),
        data=Data(raw=table, features=table, n_train=1, n_test=1, n_features=1, seed=0),
        metrics=measured(
            {"accuracy": 0.9, "rmse": 1.0},
            {"accuracy": (0.8, 1.0)},
            {"accuracy": 0.5},
            {"accuracy": 0.85},
            unit=text,
        ),
        notes=(text,),
        warnings=(text,),
        performance=(evil, evil),
        drivers=(evil,),
        importance=(lines,),
        tables=(lines,),
        explanations=(
            Explanation(
                row=text,
                actual=text,
                predicted=text,
                probability=0.93,
                why=text,
                scale=text,
                contributions=(Contribution(feature=text, value=text, shap=-1.0),),
                picture=evil,
            ),
        ),
        environment={text: text},
    )


@pytest.fixture(params=["minimal", "full"])
def page(request, image):
    return Page(render(minimal() if request.param == "minimal" else full(image)))


def test_a_page_is_well_formed(page):
    """Every tag is closed, and ids are unique."""
    ids = [attributes["id"] for _, attributes in page.attributes if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"] for attributes in page.of("a")}
    labelled = {a["aria-labelledby"] for _, a in page.attributes if "aria-labelledby" in a}
    assert {target.removeprefix("#") for target in targets} | labelled <= set(ids)


def test_a_page_is_accessible(page):
    """Language, title, landmarks, one first heading, and no level of headings left out."""
    assert page.of("html") == [{"lang": "en"}]
    for tag in ("title", "header", "main", "nav", "footer", "h1"):
        assert page.tags.count(tag) == 1, tag
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.tags.count("table") == page.tags.count("caption")
    assert all("scope" in attributes for attributes in page.of("th"))


def test_every_picture_has_words_and_a_size(image):
    """Alternative text, and the size that keeps the page from jumping."""
    page = Page(render(full(image, "plain")))
    pictures = page.of("img")
    assert len(pictures) == 4
    assert all(one["alt"] and int(one["width"]) and int(one["height"]) for one in pictures)
    assert page.tags.count("figcaption") == 4


def test_a_page_asks_for_nothing(page):
    """Pictures are in the file; no address, style or script is anywhere else."""
    for tag, attributes in page.attributes:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    assert not {"script", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    policy = page.of("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")


def test_styles_ask_for_nothing(image):
    """No style imports or loads."""
    style = render(minimal()).partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_what_comes_from_outside_is_shown_as_text(image):
    """A feature, a note or a class that looks like HTML is read, not run."""
    html = render(full(image))
    assert EVIL not in html
    assert "<script" not in html
    assert Page(html).text.count("<script>alert('x')</script>") > 20


def test_the_first_screen_is_a_model_card():
    """What, the headline metric with its interval against the baseline, model and data."""
    found = measured({"accuracy": 0.9}, {"accuracy": (0.8, 0.95)}, {"accuracy": 0.5})
    columns = ReportTable(caption="Columns", columns=("column", "role"), rows=(("a", "number"),))
    more = {"title": "species from iris.csv", "summary": "Flowers.", "columns": columns}
    text = Page(render(minimal(metrics=found, **more))).text
    assert text.index("Columns column role a number") < text.index("Metrics on the")
    card = text[text.index("Model card") : text.index("held out")]
    for wanted in (
        "iris",
        "species from iris.csv",
        "Classification of species , problem iris. Flowers.",
        "accuracy 0.900",
        "95 % interval 0.800 to 0.950",
        "Baseline 0.500",
        "Better than the baseline",
        "models:/baton-iris/1",
    ):
        assert wanted in card, (wanted, card)
    assert "Warnings" not in text


@pytest.mark.parametrize(
    ("name", "value", "interval", "baseline", "standing"),
    [
        ("accuracy", 0.9, (0.8, 0.95), 0.5, Standing.BETTER),
        ("accuracy", 0.6, (0.4, 0.7), 0.5, Standing.UNCLEAR),
        ("accuracy", 0.4, (0.3, 0.45), 0.5, Standing.WORSE),
        ("rmse", 1.0, (0.9, 1.1), 2.0, Standing.BETTER),
        ("rmse", 3.0, (2.5, 3.5), 2.0, Standing.WORSE),
        ("rmse", 2.0, None, 2.0, Standing.UNCLEAR),
        ("rmse", 2.0, (1.0, 3.0), None, Standing.UNKNOWN),
    ],
)
def test_a_metric_is_better_only_if_its_whole_interval_is(
    name, value, interval, baseline, standing
):
    """In the direction in which the metric is good."""
    found = Measured(name=name, value=value, interval=interval, baseline=baseline)
    assert found.standing is standing


def test_a_model_that_is_no_better_than_the_baseline_is_warned_of():
    """And so are few held-out rows, and a headline metric that is not defined."""
    same = measured({"accuracy": 0.5}, {"accuracy": (0.4, 0.6)}, {"accuracy": 0.5})
    assert any("baseline's 0.5" in one for one in minimal(metrics=same).cautions)
    assert any("not defined" in one for one in minimal().cautions)
    table = minimal().data.raw
    few = minimal(metrics=same, data=Data(raw=table, features=table, n_train=9, n_test=9))
    assert any("Only 9 rows" in one for one in few.cautions)
    assert Page(render(few)).text.count("Warnings") == 1


def test_letters_stand_out_from_their_ground():
    """Contrast of at least 4.5 to 1, in light and in dark."""
    style = render(minimal()).partition("<style>")[2].partition("</style>")[0]
    for block in re.findall(r":root \{(.*?)\}", style, re.S):
        colour = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        pairs = [(ink, on) for ink in ("ink", "muted", "accent") for on in ("page", "panel")]
        for ink, ground in [*pairs, ("warn-ink", "warn-page")]:
            assert contrast(colour[ink], colour[ground]) >= 4.5, (ink, ground)


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_a_long_table_opens_on_demand(image):
    """The first twenty lines are shown; all of them are in the file."""
    rows = tuple((f"feature {place}", 1.0) for place in range(200))
    lines = ReportTable(caption="Importance", columns=("feature", "value"), rows=rows)
    page = Page(render(minimal(importance=(lines,))))
    assert page.tags.count("details") == 1
    assert "180 more" in page.text
    assert "feature 199" in page.text


def test_a_report_is_frozen_and_rejects_what_it_does_not_know():
    """Misspelt fields, pictures that are not PNG, and times without a zone are errors."""
    for wrong in ({"metric": ()}, {"created": datetime(2025, 1, 1)}, {"headline": "acuracy"}):
        with pytest.raises(ValidationError):
            minimal(**wrong)
    with pytest.raises(ValidationError, match="PNG"):
        Image(title="t", png=b"GIF89a", alt="a")


def test_rendering_is_repeatable(image):
    """Same report, same bytes; what is in no character set does no harm."""
    assert render(full(image)) == render(full(image))
    render(minimal(problem="\ud800")).encode("utf-8")


def test_importance_joins_both_kinds():
    """One line per feature, by permutation importance."""
    raw = np.array([[0.1, 0.2], [0.5, 0.5]])
    permuted = Importance(raw.mean(1), raw.std(1), raw, ("a", "b"), "accuracy", 0.9)
    found = ShapValues(np.ones((3, 2, 3)), np.zeros(3), ("a", "b"), ("x", "y", "z"))
    frame = global_importance(found)
    table = importance_table(permuted, frame)
    assert table.columns[1] == "loss of accuracy when the column is shuffled"
    assert table.rows == (("b", 0.5, 0.0, 1.0), ("a", pytest.approx(0.15), 0.05, 1.0))
    assert importance_table(shap_global=frame).columns == ("feature", "mean |SHAP value|")
    by_class = class_importance_table(frame)
    assert by_class.columns == ("feature", "x", "y", "z")
    assert len(by_class.rows) == 2


def test_importance_by_class_fits_the_page():
    """A column per class up to ten, a line per class beyond; nothing where there are none."""
    many = ShapValues(np.ones((3, 9, 26)), np.zeros(26), tuple("abcdefghi"), tuple(range(26)))
    table = class_importance_table(global_importance(many))
    assert len(table.rows) == 26
    assert len(table.columns) == 2
    alone = ShapValues(np.ones((3, 2, 1)), np.zeros(1), ("a", "b"), ())
    assert class_importance_table(global_importance(alone)) is None


def test_contributions_are_the_greatest_first():
    """With the row's own values, as a person writes them."""
    table = pd.DataFrame({"a": [1.5], "b": [pd.Timestamp("2024-05-06")], 3: [None]})
    found = ShapValues(np.array([[[0.1], [-2.0], [1.0]]]), np.zeros(1), ("a", "b", "3"), ())
    assert [(c.feature, c.value, c.shap) for c in contributions(found, table, 0, 0)] == [
        ("b", "2024-05-06", -2.0),
        ("3", "missing", 1.0),
        ("a", "1.5", 0.1),
    ]


def test_rows_are_chosen_for_what_they_show():
    """A right, a wrong and an uncertain one; each row once."""
    proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.45, 0.55], [0.3, 0.7]])
    rows = rows_worth_explaining(Kind.CLASSIFICATION, ["a", "a", "b", "b"], proba, ("a", "b"))
    assert [place for place, _ in rows] == [0, 1, 2]
    actual, predicted = np.array([1.0, 2.0, 3.0, 9.0, 5.0]), np.array([1.1, 4.0, 3.1, 5.0, 5.5])
    rows = dict(rows_worth_explaining(Kind.REGRESSION, actual, predicted))
    assert rows[4] == "the row of median error"
    assert rows[3] == "the most underestimated row"
    assert rows[1] == "the most overestimated row"
    assert len(rows_worth_explaining(Kind.REGRESSION, [1.0], [1.0])) == 1
    assert rows_worth_explaining(Kind.REGRESSION, [], []) == ()


def test_the_environment_names_what_decides_numbers():
    """Python and the libraries, with versions."""
    found = environment()
    assert found["Python"][0] == "3"
    assert found["numpy"] == np.__version__


def test_names_that_look_alike_stay_apart():
    """However long, and however little they differ."""
    names = ["x" * 300 + str(place) + "y" * 300 for place in range(150)] + ["a", "a" * 27]
    assert len(set(elided(names))) == len(names)
    assert max(map(len, elided(names))) <= 30
