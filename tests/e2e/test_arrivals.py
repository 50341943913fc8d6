"""Data that arrives begins a chain, as a user has it announced."""

import json

import httpx
import pandas as pd
import pytest

from tests.e2e.conftest import BRIEFLY, wait_for

pytestmark = pytest.mark.e2e
FEW = ["-p", "model=decision_tree", *BRIEFLY]


def _runs_of(up, flow, chain):
    return [one for one in up.runs(flow) if f"chain:{chain}" in one["tags"]]


@pytest.mark.long  # tests/integration/test_arrivals.py begins one chain; test_loop.py predicts
def test_data_that_arrives_is_learnt_from_and_then_predicted(up, tmp_path):
    """Announced twice it begins one chain; new rows begin another, by Baton's own address."""
    table = pd.DataFrame({"x": range(300), "y": [number % 2 for number in range(300)]})
    path = tmp_path / "arrived.csv"
    table.to_csv(path, index=False)
    asked = ["announce", "table", "-p", f"path={path}", "-p", "target=y", *FEW, "--json"]
    first, again = (up.baton(*asked).json for _ in range(2))
    assert (first["known"], again["known"]) == (False, True)
    assert first["chain"] == again["chain"]
    made = up.ended(first["chain"])
    assert made["state"] == "COMPLETED", made
    assert len(_runs_of(up, "generate", first["chain"])) == 1
    wait_for(lambda: up.baton("arrivals", "table", "--json").json[-1]["state"] == "taken")

    new = tmp_path / "new.csv"
    table[["x"]].to_csv(new, index=False)
    told = json.loads((up.path / "up.json").read_text())["announce"]
    answer = httpx.post(
        f"{told}/announce/table",
        json={"begins": "predict", "parameters": {"path": str(new), "name": "arrived-y"}},
        headers={"Authorization": f"Bearer {(up.path / 'announce.token').read_text()}"},
        timeout=120,
    )
    assert answer.status_code == 202, answer.text
    wait_for(
        lambda: any(
            run["state_type"] == "COMPLETED"
            for run in _runs_of(up, "predict", answer.json()["chain"])
        )
    )


@pytest.mark.long  # tests/integration/test_arrivals.py keeps, and tells a server that comes
def test_what_is_announced_to_nobody_is_kept_until_baton_up_stands(home, tmp_path):
    """The command says so, with exit code 0, and the next `baton up` takes it."""
    answer = home.baton("announce", "spheres", "-p", "rows=500", *FEW)
    assert answer.code == 0, answer.err
    assert "it is kept" in answer.out
    bad = home.baton("announce", "table", "-p", f"path={tmp_path / 'none.csv'}", "-p", "target=y")
    assert (bad.code, bad.out) == (2, "")
    home.start()
    kept, damaged = wait_for(
        lambda: (found := home.baton("arrivals", "--json").json)[0]["state"] == "taken" and found
    )
    assert damaged["state"] == "damaged"
    wait_for(lambda: _runs_of(home, "generate", kept["chain"]))
