"""Nothing at rest runs code: a home and a working folder full of traps, and the command in them."""

import pandas as pd
import pytest

from tests import traps
from tests.e2e.conftest import BRIEFLY, _furnished, fresh_home

pytestmark = pytest.mark.e2e

IRIS = ["run", "iris", "--json", *BRIEFLY]


@pytest.fixture
def trapped(tmp_path, prepared):
    """A home, and a folder of somebody's code in which the command is given."""
    canary = tmp_path / "canaries" / "sprung"
    canary.parent.mkdir()
    traps.folder_of_code(tmp_path / "cwd", canary)
    with fresh_home(_furnished(tmp_path / "home", prepared)) as found:
        found.canary, found.cwd = canary, tmp_path / "cwd"
        yield found


def _asked(home, *arguments):
    """Ask the command in the folder of traps: done, failed, or refused in one line."""
    done = home.baton(*arguments, cwd=home.cwd)
    assert "Traceback" not in done.err
    assert done.code in {0, 1, 2}, done.err
    assert done.code == 0 or done.err.count("baton: ") == 1, done.err
    return done


@pytest.mark.long
def test_nothing_that_is_planted_runs(trapped):
    """Tables, models, records, pages, addresses and downloads of every kind, one after the other.

    What a stage can make again is made again; a model that was altered is refused.
    """
    first = _asked(trapped, *IRIS).json  # its processes are begun in the folder of traps
    trapped.start()
    assert first["state"] == "COMPLETED"
    kinds = list(traps.KINDS.values())
    for place, file in enumerate(sorted((trapped.path / "results").rglob("*"))):
        if file.is_file() and file.suffix in {".parquet", ".html", ".png", ""}:
            file.write_bytes(kinds[place % len(kinds)](trapped.canary))
    for name in ("notebooks", "downloads", "studies", "chains", "results/iris", "mlflow"):
        traps.folder_of_code(trapped.path / name, trapped.canary)
    again = _asked(trapped, *IRIS).json
    assert again["state"] == "COMPLETED"
    assert {s["stage"]: s["cached"] for s in again["stages"]}["generate"] is False
    assert again["metrics"] == first["metrics"]
    row = str(pd.read_parquet(again["results"]["predictions"])["_row"][0])
    assert _asked(trapped, "explain", "iris", "--row", row).code == 0
    _trap_models(trapped)
    for question in (["predict", "iris"], ["explain", "iris", "--row", row]):
        done = _asked(trapped, *question)
        assert done.code == 2
        assert "SHA-256 differs" in done.err or "cannot be loaded" in done.err, done.err
    for question in (["status"], ["status", again["chain"]], ["report"], ["problems"], ["prune"]):
        assert _asked(trapped, *question).code == 0
    assert traps.sprung(trapped.canary) == []


def _trap_models(home):
    """Put a trap into each file of each model, and a flavour that is a pickle beside it."""
    for card in (home.path / "mlflow" / "artifacts").rglob("MLmodel"):
        said = card.read_text()
        flavour = (
            "\n  sklearn:\n    pickled_model: model.pkl\n    serialization_format: cloudpickle"
        )
        card.write_text(said.replace("flavors:", f"flavors:{flavour}"))
        (card.parent / "model.pkl").write_bytes(traps.pickled(home.canary))
        (card.parent / "python_model.pkl").write_bytes(traps.joblibbed(home.canary))
        for file in card.parent.rglob("*.skops"):
            file.write_bytes(traps.archived(home.canary))


@pytest.mark.long
def test_a_folder_full_of_code_is_no_part_of_baton(trapped):
    """Neither a module beside what is read, nor Prefect's settings there, nor a prefect.yaml."""
    done = _asked(trapped, "run", "table", "-p", "path=x.csv", "-p", "target=y")
    assert done.code == 2
    assert "no file" in done.err
    done = _asked(trapped, "explain", "iris", "--row", "1")
    assert "no chain of problem 'iris' has ended" in done.err
    assert isinstance(_asked(trapped, "status", "--json").json, list)
    assert traps.sprung(trapped.canary) == []
