"""What matplotlib does not promise to keep, with the public way to fall back to."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from baton.internals import reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.figure import Figure


@contextmanager
def current_figure(create: Callable[[Callable[..., Figure] | None], Figure]) -> Iterator[Figure]:
    """A figure that pyplot takes for the current one, and forgets afterwards.

    pyplot makes figures by a backend, the user's, which may want a display and the main thread.
    Entered into pyplot's own list, a figure of no backend is drawn on as well. The public way is
    another backend for as long as that takes, which all threads see.

    Parameters
    ----------
    create : callable
        Makes the figure, by matplotlib's class if it is given None, else by what it is given.
    """
    registry = _registry()
    with _by_backend(create) if registry is None else _by_registry(create, registry) as figure:
        yield figure


@reach("matplotlib has no list of figures: pictures are drawn by another backend, one at a time")
def _registry() -> Any:
    from matplotlib._pylab_helpers import Gcf

    return Gcf.set_active, Gcf.destroy


@contextmanager
def _by_registry(create: Callable[[None], Figure], registry: Any) -> Iterator[Figure]:
    import matplotlib.pyplot as plt

    enter, forget = registry
    figure = create(None)
    canvas: Any = figure.canvas
    manager = canvas.new_manager(figure, 1 + max(plt.get_fignums(), default=0))
    enter(manager)
    try:
        with plt.ioff():
            yield figure
    finally:
        forget(manager)


@contextmanager
def _by_backend(create: Callable[[Callable[..., Figure]], Figure]) -> Iterator[Figure]:
    import matplotlib.pyplot as plt

    of_user = plt.get_backend()
    plt.switch_backend("agg")
    try:
        figure = create(plt.figure)
        yield figure
        plt.close(figure)
    finally:
        plt.switch_backend(of_user)
