"""`baton clean` where no Baton stands: what it says, what it removes, and when it only says."""

import pytest

from tests.unit.test_leftovers import aged, made

pytestmark = pytest.mark.e2e

FILES = [
    "results/spheres/0123456789abcdef/raw.parquet",
    "downloads/host/a.csv",
    f"chains/.{'0' * 32}.partial",
    "prefect/prefect.db.aside",
]


@pytest.mark.long  # tests/integration/test_cleaning.py removes it, and all comes again
def test_what_is_left_over_goes_once_it_is_asked_for(home):
    """In a pipe it is only said; what is young stays, and so do links with what they lead to."""
    places = [made(home.path / name) for name in FILES]
    aged(home.path / "results" / "spheres")
    outside = made(home.path.parent / f"{home.path.name}-outside" / "file")
    (home.path / "results" / "linked").symlink_to(outside.parent)
    young = home.path / "results" / "spheres" / ("a" * 16)
    young.mkdir()
    said = home.baton("clean")
    assert said.code == 0, said.err
    assert "nothing was removed: add --yes to remove it" in said.out
    assert "folder of results" in said.out and "spheres" in said.out
    assert "linked is a link: it is passed over" in said.err
    assert all(place.exists() for place in places)
    dry = home.baton("clean", "--dry-run", "--yes", "--json").json
    assert {one["path"] for one in dry["items"]} == {
        str(places[0].parent),
        *(str(place) for place in places[1:]),
    }
    assert (dry["n_bytes"], dry["removed"]) == (400, [])
    done = home.baton("clean", "--yes", "--json")
    assert done.code == 0, done.err
    assert done.json["removed_bytes"] == 400
    assert not any(place.exists() for place in places)
    assert young.exists() and outside.exists() and (home.path / "results" / "linked").is_symlink()
    assert "nothing is left over" in home.baton("clean", "--yes").out


def test_a_home_in_which_no_baton_has_run_is_refused(empty_home):
    """So is an age that is none; nothing is made there."""
    for given, said in (([], "no Baton has run"), (["--older-than", "soon"], "--older-than: ")):
        answer = empty_home.baton("clean", *given)
        assert (answer.code, said in answer.err) == (2, True)
    assert not list(empty_home.path.iterdir())
