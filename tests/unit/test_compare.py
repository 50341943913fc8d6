"""Two chains side by side, from their files alone."""

import hashlib
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from baton import chains
from baton.chain import records
from baton.chain.events import DatasetReady, ModelEvaluated, ModelRef, PageRef, TableRef
from baton.cli import main
from baton.errors import InputError
from baton.evaluation import intervals, metrics
from baton.lineage import digest_of, with_lineage
from baton.settings import Settings
from baton.settings import settings as own
from baton.terms import GROUP, ROW, SPLIT, Kind, Options

N = 400


@pytest.fixture
def home(tmp_path):
    return Settings(home=tmp_path / "home")


@pytest.fixture
def ended(home):
    """Leave what a chain of a table of `N` rows leaves, every fourth row held out."""

    def leave(chain, noise=1.0, *, target="y", seed=0, groups=False, price=0, **more):
        random = np.random.default_rng(7)
        raw = pd.DataFrame({"x": random.normal(size=N), "price": price})
        raw[target] = 2 * raw["x"] + random.normal(size=N) / 3
        is_test = np.roll(np.arange(N) % 4 == 0, seed)
        hidden = {ROW: np.arange(N), SPLIT: np.where(is_test, "test", "train")}
        hidden |= {GROUP: np.arange(N) // 16} if groups else {}
        features = raw.drop(columns="price").assign(**hidden)
        held = raw[is_test]
        guess = held[target] + noise * np.random.default_rng(int(chain[:4], 16)).normal(
            size=len(held)
        )
        predictions = pd.DataFrame(
            {ROW: np.flatnonzero(is_test), "actual": held[target], "predicted": guess}
        )
        parameters = {"path": "t.csv", "seed": seed}
        tables = {
            "raw": (raw, {}),
            "features": (features, {"parameters": parameters}),
            "predictions": (predictions, {}),
        }
        made = {name: kept(home, chain, name, *one) for name, one in tables.items()}
        data = DatasetReady(
            chain=chain,
            problem=more.pop("problem", "table"),
            raw=made["raw"],
            features=made["features"],
            kind=Kind.REGRESSION,
            target=target,
            headline="rmse",
            n_train=int((~is_test).sum()),
            n_test=int(is_test.sum()),
            name=more.pop("name", "t-y"),
            source="t.csv",
            options=Options(model="xgboost", model_params=more),
        )
        other = made["features"]
        name = data.model_name
        event = ModelEvaluated(
            chain=chain,
            problem=data.problem,
            data=data,
            model=ModelRef(name=name, version=1, run_id=digest_of(chain)[:32], digest="ab" * 32),
            **dict.fromkeys(
                ("metrics", "permutation_importance", "shap_global", "shap_local"), other
            ),
            predictions=made["predictions"],
            report=PageRef(key="table/0123456789abcdef/report.html", digest="ab" * 32),
            scores=metrics.regression(held[target], guess),
            intervals=intervals.bootstrap(Kind.REGRESSION, held[target], guess),
        )
        records.keep(home, event)
        return chains.Chain(event, home)

    return leave


def kept(home, chain, name, frame, facts):
    """Reference to a table that is kept as a chain keeps it, its origin in its head."""
    key = f"table/{digest_of(chain)[:16]}/{name}.parquet"
    place = home.results / key
    place.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(frame.reset_index(drop=True), preserve_index=False)
    pq.write_table(with_lineage(table, facts | {"chain": chain}), place)
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    return TableRef(key=key, digest=digest, n_rows=len(frame))


def test_the_better_one_is_named_with_a_paired_interval(home, ended):
    """By the same rows, though the files differ in what they say of their origin."""
    a, b = ended("aaaa00000000", noise=1.0), ended("bbbb00000000", noise=0.5, max_depth=3)
    found = chains.compare("aaaa", "bbbb", home=home.home)
    assert found.apart == ""
    first = found.metrics[0]
    assert first.metric == "rmse"
    assert first.difference == pytest.approx(b.scores["rmse"] - a.scores["rmse"])
    assert first.interval[0] < first.difference < first.interval[1] < 0
    assert first.verdict == "B is better"
    assert found.summary.startswith("B is better: RMSE 1.04 of A and 0.5")
    assert "on the same 100 held-out rows" in found.summary
    assert ("model", "max_depth", None, 3) in [
        (one.of, one.name, one.a, one.b) for one in found.choices
    ]
    back = chains.compare(b, a)
    assert back.metrics[0].verdict == "A is better"
    assert "B is better" in found._repr_html_()


def test_alike_chains_have_no_clear_difference(ended):
    """The interval holds zero."""
    found = chains.compare(ended("aaaa00000000"), ended("bbbb00000000"))
    assert found.metrics[0].verdict == "no clear difference"
    assert found.summary.startswith("No clear difference: RMSE")
    assert {one.of for one in found.choices} == {"data"}


def test_grouped_rows_are_resampled_by_group(ended):
    """Whichever of the two says that they hang together."""
    alone = chains.compare(ended("aaaa00000000"), ended("bbbb00000000"))
    grouped = chains.compare(ended("aaaa00000000"), ended("bbbb00000000", groups=True))
    assert alone.metrics[0].difference == grouped.metrics[0].difference
    assert alone.metrics[0].interval != grouped.metrics[0].interval


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"seed": 1}, "0 of 100 and 100 held-out rows have the same place"),
        ({"price": 5}, "the rows at these places are others"),
        ({"target": "z"}, "they predict different columns"),
    ],
)
def test_other_rows_are_not_paired(ended, more, why):
    """It says so, gives both figures with their own intervals, and no difference."""
    found = chains.compare(ended("aaaa00000000"), ended("bbbb00000000", **more))
    assert found.apart == why
    assert f"different held-out rows ({why})" in found.summary
    for one in found.metrics:
        assert (one.difference, one.interval, one.verdict) == (None, None, "")
    assert found.metrics[0].a_interval is not None


def test_a_name_means_its_latest_chain(home, ended):
    """Of an id, a problem or a model; a misspelling is answered by what was meant."""
    ended("aaaa00000000", name="wine-quality")
    ended("bbbb00000000", name="mpg-mpg")
    place = home.home
    assert chains.named("aa", place).id == "aaaa00000000"
    assert chains.named("wine-quality", place).id == "aaaa00000000"
    assert chains.named("baton-table-wine-quality", place).id == "aaaa00000000"
    assert chains.named("table", place).id == "bbbb00000000"
    with pytest.raises(InputError, match=r"no chain, problem or model 'wine-qualty'.*did you mean"):
        chains.named("wine-qualty", place)
    with pytest.raises(InputError, match=r"^no chain 'cccc' has ended"):
        chains.named("cccc", place)
    with pytest.raises(InputError, match="both are chain aaaa00000000"):
        chains.compare("aa", "wine-quality", place)


@pytest.fixture
def command(home, monkeypatch, capsys):
    """Run the command in this home: its exit code, and what it printed."""

    def run(*arguments):
        monkeypatch.setenv("BATON_HOME", str(home.home))
        own.cache_clear()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        return ended.value.code, *capsys.readouterr()

    yield run
    monkeypatch.undo()
    own.cache_clear()


def test_the_command_prints_tables_an_object_and_a_page(ended, command, tmp_path):
    """Bad input is one line and code 2."""
    ended("aaaa00000000")
    ended("bbbb00000000", noise=0.5, max_depth=3)
    page = tmp_path / "page.html"
    code, out, err = command("compare", "aaaa", "bbbb", "--out", str(page))
    assert (code, err) == (0, "")
    for word in ("what differs", "max_depth", "B less A", "B is better"):
        assert word in out
    html = page.read_text("utf-8")
    assert "B is better" in html
    assert "<script" not in html
    code, out, err = command("compare", "aaaa", "bbbb", "--json")
    made = json.loads(out)
    assert made["is_paired"]
    assert made["metrics"][0]["verdict"] == "B is better"
    assert {"of": "model", "name": "max_depth", "a": None, "b": 3} in made["differs"]
    for arguments, said in [
        (["aaaa", "tabel"], "no chain, problem or model 'tabel'"),
        (["aaaa", "aaaa"], "both are chain"),
        (["aaaa", "bbbb", "--out", str(tmp_path / "no" / "page.html")], "cannot be written"),
        (["aaaa"], "requires an argument"),
    ]:
        code, out, err = command("compare", *arguments)
        assert code == 2, err
        assert said in " ".join(err.split())
        assert err.count("baton: ") == 1
        assert "Traceback" not in err
