"""Artifacts of a chain on Prefect's pages: their keys, and the links to what stands in files."""

from __future__ import annotations

from pathlib import Path

from prefect.artifacts import create_link_artifact

from tasks.platform import pages


def artifact_key(what: str, problem: str, chain: str) -> str:
    """Key of an artifact of a chain, in the letters that Prefect takes.

    Examples
    --------
    >>> artifact_key("report", "my_table", "0123456789ab")
    'report-my-table-0123456789ab'
    """
    return f"{what}-{problem}-{chain}".replace("_", "-")


def link_page(what: str, problem: str, chain: str, path: Path, *, text: str, about: str) -> None:
    """Write the way to a page of a chain.

    Parameters
    ----------
    what : str
        Kind of page; a later one of a chain takes the place of the one before.
    problem, chain : str
    path : Path
    text : str
        Of the link.
    about : str
        What the page holds.
    """
    key = artifact_key(what, problem, chain)
    create_link_artifact(key=key, link=pages.of_result(path), link_text=text, description=about)


def link_drift(problem: str, chain: str, path: Path) -> None:
    """Write the way to the page about a chain's new rows."""
    link_page(
        "drift",
        problem,
        chain,
        path,
        text=f"drift of chain {chain}",
        about="how far the new rows have moved from those that the model knows",
    )
