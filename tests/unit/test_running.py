"""What the commands that run something refuse, or let through, before anything runs."""

import pytest

from baton import problems
from baton.chain import records
from baton.cli import running
from baton.errors import InputError, NoModelError
from baton.settings import settings
from tests.unit.test_disk import EVALUATED


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home in which a chain of the table ``wine-target`` ended; MLflow must not be asked."""
    monkeypatch.setenv("BATON_HOME", str(tmp_path))
    monkeypatch.setattr(running, "away", lambda: pytest.fail("MLflow was asked"))
    settings.cache_clear()
    model = EVALUATED.model.model_copy(update={"name": "baton-table-wine-target"})
    records.keep(settings(), EVALUATED.model_copy(update={"problem": "table", "model": model}))
    settings().mlflow.mkdir()
    (settings().mlflow / "mlflow.db").touch()
    yield tmp_path
    settings.cache_clear()


@pytest.mark.parametrize("given", [{}, {"name": "wine-target"}])
def test_a_model_that_a_chain_of_this_home_made_is_not_asked_for(home, given):
    """MLflow takes seconds to be asked; the stage finds out if it is gone."""
    running._require_model("table", given, None)


def test_a_home_without_any_model_is_refused_at_once(home):
    """Before anything is started, and without MLflow."""
    (home / "mlflow" / "mlflow.db").unlink()
    with pytest.raises(NoModelError, match=r"there is no model of table in .*; `baton run table`"):
        running._require_model("table", {}, None)


@pytest.mark.parametrize(
    ("problem", "given", "said"),
    [
        ("taxi", {"metric": "roc_auc"}, "metric roc_auc is for a classification, and this is a"),
        ("spheres", {"metric": "mea"}, "did you mean 'mae'"),
        ("iris", {"metric": "mae"}, "metric mae is for a regression"),
        ("taxi", {"threshold": "f1"}, "threshold: for classes, and this is a regression"),
    ],
)
def test_what_is_for_another_kind_is_refused_by_the_command(problem, given, said, monkeypatch):
    """Before a server is asked; of a table its target's column is looked at."""
    monkeypatch.setattr(type(problems.get(problem)), "fingerprint", lambda *_: "")
    with pytest.raises(InputError) as error:
        running.order_of(problem, given)
    assert said in str(error.value)


def test_a_tables_kind_is_seen_by_the_command(tmp_path):
    """A target of words has no RMSE."""
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "".join(f"{n},{'no' if n % 2 else 'yes'}\n" for n in range(40)))
    with pytest.raises(InputError, match="metric rmse is for a regression"):
        running.order_of("table", {"path": str(path), "target": "y", "metric": "rmse"})
