"""The picture of a relational set: its tables as boxes, the keys between them as arrows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from baton.showing.plots.picture import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    Picture,
    drawn_in_style,
    new_figure,
    plain,
)
from baton.words.text import counted, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from baton.relational.account import KeyFound, Relations

    Places = dict[str, tuple[float, float]]

_WIDE, _HIGH = 0.62, 0.5
"""Size of a box; columns and rows of boxes are one apart."""
_PALE = "#B9B9B9"


@drawn_in_style
def schema(found: Relations) -> Picture:
    """Tables and keys: to the left what is looked up, to the right what is summed up.

    Parameters
    ----------
    found : Relations
    """
    places = _places(found)
    columns = [x for x, _ in places.values()]
    most = max(sum(x == one for x in columns) for one in columns)
    figure = new_figure(1.0 + 0.95 * most)
    ax = figure.subplots()
    for number, key in enumerate(found.keys):
        _draw_key(ax, key, places, number)
    for name, place in places.items():
        _draw_table(ax, name, found, place)
    ax.set_xlim(min(columns) - 0.45, max(columns) + 0.45)
    ax.set_ylim(-most / 2, most / 2)
    ax.axis("off")
    title = "Tables and keys"
    ax.set_title(title)
    return Picture("tables_and_keys", title, _alt(found), _note(found), figure)


def _places(found: Relations) -> Places:
    """Column and height of each table, by the steps from the rows to it: parents to the left."""
    column = {found.target: 0}
    edge = [found.target]
    while edge:
        steps = [
            (other, column[name] + step)
            for name in edge
            for key in found.keys
            for one, other, step in ((key.child, key.parent, -1), (key.parent, key.child, 1))
            if one == name and other not in column
        ]
        column |= dict(reversed(steps))  # of two ways, the first
        edge = list(dict.fromkeys(other for other, _ in steps))
    column |= {name: max(column.values()) + 1 for name in found.rows if name not in column}
    stacks: dict[int, list[str]] = {}
    for name, at in column.items():
        stacks.setdefault(at, []).append(name)
    return {
        name: (float(at), (len(names) - 1) / 2 - place)
        for at, names in stacks.items()
        for place, name in enumerate(names)
    }


def _draw_table(ax: Axes, name: str, found: Relations, place: tuple[float, float]) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = place
    is_target = name == found.target
    edge = BLUE if is_target else BLACK if name in _used(found) else _PALE
    corner = (x - _WIDE / 2, y - _HIGH / 2)
    face, line = ("#E3EEF6", 2.0) if is_target else ("white", 1.2)
    look: Any = {"edgecolor": edge, "facecolor": face, "linewidth": line, "zorder": 3}
    corners = "round,pad=0,rounding_size=0.05"
    ax.add_patch(FancyBboxPatch(corner, _WIDE, _HIGH, boxstyle=corners, **look))
    words: Any = {
        "ha": "center",
        "va": "center",
        "zorder": 4,
        "color": GREY if edge == _PALE else BLACK,
    }
    ax.text(x, y + 0.1, plain(name, 18), weight="bold", fontsize=10, **words)
    ax.text(x, y - 0.12, counted(found.rows[name], "row"), fontsize=9, **words)


def _draw_key(ax: Axes, key: KeyFound, places: Places, number: int) -> None:
    """Draw an arrow from the child to the parent that it names."""
    start, end = places[key.child], places[key.parent]
    colour = ORANGE if key.n_broken else BLACK if key.n_features else _PALE
    bend = 0.0 if start[0] != end[0] else 0.6
    side = 1 if start[0] < end[0] else -1
    tail = (start[0] + side * _WIDE / 2, start[1])
    head = (end[0] - side * _WIDE / 2 if start[0] != end[0] else end[0] + side * _WIDE / 2, end[1])
    ax.annotate(
        "",
        xy=head,
        xytext=tail,
        arrowprops={
            "arrowstyle": "-|>",
            "color": colour,
            "linewidth": 1.2,
            "linestyle": "--" if key.is_guessed else "-",
            "connectionstyle": f"arc3,rad={bend}",
        },
        zorder=1,
    )
    near = 0.35 + 0.15 * (number % 3)
    x, y = (tail[axis] + near * (head[axis] - tail[axis]) for axis in (0, 1))
    words = plain(key.foreign_key, 16) + (f" ({key.n_broken:,} broken)" if key.n_broken else "")
    ink = ORANGE if key.n_broken else GREY
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
    ax.text(x, y, words, ha="center", va="center", fontsize=8, color=ink, zorder=2, bbox=box)


def _used(found: Relations) -> set[str]:
    return {name for key in found.keys if key.n_features for name in (key.child, key.parent)}


def _alt(found: Relations) -> str:
    tables = [f"{name} ({counted(n, 'row')})" for name, n in found.rows.items()]
    keys = [f"{key.child}.{key.foreign_key} to {key.parent}" for key in found.keys]
    return f"Tables {listed(tables, 8)}; keys {listed(keys, 8) or 'none'}."


def _note(found: Relations) -> str:
    said = [f"The rows of {found.target} are learnt. An arrow leads from a key to the table that"]
    said.append("it names; what is grey made no feature.")
    if any(key.is_guessed for key in found.keys):
        said.append("A dashed key was not declared, but guessed by names and values.")
    if any(key.n_broken for key in found.keys):
        said.append("An orange one is broken: some rows name a row that is not there.")
    return " ".join(said)
