"""Nothing at rest runs code: traps in the place of what a stage reads, and none is sprung.

The traps are in ``tests/traps.py``; that a whole chain springs none is in
``tests/e2e/test_at_rest.py``.
"""

import json
import re
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from prefect import flow

from baton import chains, models, problems
from baton.chain import manifest, records, stored
from baton.chain.events import TableRef
from baton.errors import InputError
from baton.lineage import digest_of_file, folder
from baton.settings import Settings
from baton.showing import notebooks
from baton.tuning import storage
from serving import embedded, holder
from tasks.platform import results
from tests import traps
from tests.integration.places import Place

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.fixture
def canary(tmp_path):
    """Beginning of the names that sprung traps have; none may be there afterwards."""
    (tmp_path / "canaries").mkdir()
    found = tmp_path / "canaries" / "sprung"
    yield found
    assert traps.sprung(found) == []


@pytest.mark.parametrize("kind", ["pickle", "joblib", "skops", "parquet", "code"])
def test_the_traps_work(kind, tmp_path):
    """Read by what believes them they run code, so what they prove is something."""
    canary, content = tmp_path / "sprung", traps.KINDS[kind](tmp_path / "sprung")
    path = tmp_path / "file"
    path.write_bytes(content)
    match kind:
        case "pickle" | "joblib":
            import joblib

            joblib.load(path)
        case "skops":
            from skops.io import get_untrusted_types, loads

            trusted = get_untrusted_types(data=content)
            loads(content, trusted=trusted).transform(f"touch {canary}")
        case "parquet":
            import pickle

            import pyarrow.parquet as pq

            metadata = pq.read_schema(path).field("n").metadata
            pickle.loads(metadata[b"ARROW:extension:metadata"])  # noqa: S301  as pyarrow 14 did
        case _:
            exec(content)
    assert traps.sprung(canary) == ["sprung"]


@results.result_task("features", name="count")
def count(plan: Place) -> pa.Table:
    return pa.table({"n": [1, 2, 3]})


@flow
async def counting(place: str):
    return count(Place(place))


def _vouched(path, serializer):
    """Write the ledger that would make a file a result."""
    entry = json.loads(path.with_name(path.name + ".json").read_text())
    entry["serializer"] = serializer
    entry["sha256"] = digest_of_file(path)
    path.with_name(path.name + ".json").write_text(json.dumps(entry))


@pytest.mark.parametrize("kind", traps.KINDS)
def test_a_trap_in_place_of_a_result_is_made_again_or_refused(kind, canary, event_loop_run):
    """Alone, with a ledger that vouches for it, and with one that names another serializer."""
    place = folder("spheres", trap=kind)
    key = f"{place}/features.parquet"
    for ledger in (None, "own", "pickle", "compressed", "envelope"):
        assert event_loop_run(counting(place))["n"].to_pylist() == [1, 2, 3]
        path = results.path_of(key)
        path.write_bytes(traps.KINDS[kind](canary))
        types = {"own": "baton-parquet", "compressed": "compressed/pickle", "pickle": "pickle"}
        if ledger == "envelope":
            path.with_name(path.name + ".json").write_bytes(traps.enveloped(canary))
        elif ledger:
            _vouched(path, {"type": types[ledger], "picklelib": "pickle"})
        reference = TableRef(key=key, digest="0" * 64, n_rows=3)
        for read in (results.read, partial(stored.lineage, results.settings().results)):
            with pytest.raises(InputError, match="not the file that was announced"):
                read(reference)
        if ledger == "own" and kind == "parquet":  # it is a table that is vouched for
            assert event_loop_run(counting(place)).column_names == ["n"]
            path.unlink()


def _read_everything(home, path):
    """Read one file as everything that Baton reads of a home."""
    settings = Settings(home=home)
    for read in (
        lambda: manifest.read(path),
        lambda: stored.model_folder(path),
        lambda: models.load(path.parent),
        lambda: records.find(settings),
        lambda: chains.find(home=home),
        lambda: holder.waiting_for(settings),
        lambda: embedded.found(settings),
        lambda: storage.open_storage(settings, "trap"),
        lambda: notebooks.read(path.with_suffix(".ipynb")),
        lambda: notebooks.page(notebooks.read(path.with_suffix(".py")), "x"),
        lambda: problems.get("table").load(_table(path)),
        lambda: problems.get("taxi").load(_trips(path)),
        lambda: problems.get("churn").sources(_orders(path)),
    ):
        try:
            read()
        except InputError as error:
            assert str(error).isprintable()


def _table(path):
    return problems.parse(problems.get("table"), {"path": path, "target": "n"})


def _trips(path):
    given = {"source": str(path), "train": "2021-01", "test": "2021-02"}
    return problems.parse(problems.get("taxi"), given)


def _orders(path):
    return problems.parse(problems.get("churn"), {"url": str(path)})


@pytest.mark.parametrize("kind", traps.KINDS)
def test_a_trap_in_place_of_anything_else_is_one_line(kind, canary, tmp_path):
    """A model's card and files, records, addresses, a journal, a notebook, tables of a user."""
    home, content = tmp_path / "home", traps.KINDS[kind](canary)
    for name in ("chains/0123456789ab.json", "studies/trap.journal", "holder.json", "up.json"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)
    (home / "auth").write_bytes(b"a:b")
    folder_of_model = tmp_path / "model"
    folder_of_model.mkdir()
    card = {"kind": "classification", "target": "n", "classes": [1, 2], "params": {}}
    card |= {"encoder": {"columns": []}}
    files = {"skops": "model.skops", "pickle": "model.txt", "joblib": "model.ubj"}
    for family in ("decision_tree", "lightgbm", "xgboost"):
        (folder_of_model / "model.json").write_text(json.dumps(card | {"family": family}))
        for file in (*files.values(), "trap", "trap.ipynb", "trap.py"):
            (folder_of_model / file).write_bytes(content)
        _read_everything(home, folder_of_model / "trap")


def test_the_page_of_an_executed_notebook_runs_no_script(canary):
    """What a cell wrote is shown under a policy that lets nothing run."""
    import nbformat

    output = nbformat.v4.new_output("display_data", {"text/html": traps.page(canary).decode()})
    cell = nbformat.v4.new_code_cell("1", outputs=[output])
    page = notebooks.page(nbformat.v4.new_notebook(cells=[cell]), "x")
    policy = re.search(r"<meta[^>]*Content-Security-Policy[^>]*>", page)[0]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert Path(canary).parent.is_dir()
