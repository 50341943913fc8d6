"""Pictures of a search: how it went, and which hyperparameters mattered. Optuna's own plots."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from baton.showing.plots.picture import DPI, WIDTH, Picture, drawn_in_style, entitle
from baton.words.text import listed, number

if TYPE_CHECKING:
    import optuna

_MOST = 6
"""Most hyperparameters that one picture shows."""

_MOST_SLICES = 4

_STACKED = {"search_parallel", "search_contour"}
"""Pictures whose axes stand on each other: no layout engine knows what to do with them."""


def search_pictures(study: optuna.Study, metric: str, most: int = 6) -> Iterator[Picture]:
    """Draw a study.

    Parameters
    ----------
    study : optuna.Study
    metric : str
        What a trial's value is.
    most : int
        Pictures at most, the first ones.

    Yields
    ------
    Picture
        History of the scores; if two trials or more can be compared, also the weight of each
        hyperparameter, their slices, parallel coordinates and contours; distribution of the scores.
    """
    yield from itertools.islice(_pictures(study, metric), most)


def _pictures(study: optuna.Study, metric: str) -> Iterator[Picture]:
    yield _history(study, metric)
    if len({trial.value for trial in _scored(study)}) > 1:
        weights = _weights(study)
        names = list(weights)[:_MOST]
        if any(weights.values()):
            yield _importance(study, metric, weights)
        yield _slices(study, metric, names[:_MOST_SLICES])
        if len(names) > 1:
            yield _parallel(study, metric, names)
            yield _contour(study, metric, names[:2])
    yield _distribution(study, metric)


def _scored(study: optuna.Study) -> list[Any]:
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _weights(study: optuna.Study) -> dict[str, float]:
    """Share of the score's variance that each hyperparameter explains, the greatest first."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    varied = sorted({name for trial in _scored(study) for name in trial.params})
    common = [name for name in varied if sum(name in t.params for t in _scored(study)) > 1]
    try:
        return dict(
            get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0), params=common)
        )
    except (ValueError, RuntimeError):  # too few trials that have all of them
        return dict.fromkeys(common, 0.0)


@drawn_in_style
def _drawn(
    draw: Callable[..., Any],
    name: str,
    words: tuple[str, str, str],
    metric: str,
    *args: Any,
    **kw: Any,
) -> Picture:
    """Draw one of Optuna's plots as a picture of Baton's."""
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.ticker import NullFormatter

    target = {} if name == "search_importance" else {"target_name": metric}
    drawn = draw(*args, **target, **kw)
    axes = list(np.ravel(np.asarray(drawn, dtype=object)))
    figure = axes[0].figure
    plt.close(figure)
    title, alt, caption = words
    for ax in axes:
        ax.set_title("")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.tick_params(axis="x", labelsize=10)
    figure.suptitle("")
    figure.set_dpi(DPI)
    figure.set_size_inches(WIDTH, 4.2)
    if name in _STACKED or (len(axes) == 1 and name == "search_slices"):
        figure.set_layout_engine("none")
        figure.subplots_adjust(left=0.1, right=0.84, top=0.86, bottom=0.28)
    else:
        figure.set_layout_engine("constrained", rect=(0, 0, 1, 0.93))
    entitle(figure, title)
    return Picture(name, title, alt, caption, figure)


def _history(study: optuna.Study, metric: str) -> Picture:
    from optuna.visualization.matplotlib import plot_optimization_history

    scored = _scored(study)
    best = study.best_trial if scored else None
    said = f" The best is {number(best.value or 0.0)}, in trial {best.number}." if best else ""
    words = (
        "The search, trial by trial",
        f"{metric} of {len(scored)} trials in their order, with the best so far.{said}",
        "The line is the best score up to each trial. Trials that were given up or failed are"
        " left out.",
    )
    return _drawn(plot_optimization_history, "search_history", words, metric, study)


def _distribution(study: optuna.Study, metric: str) -> Picture:
    from optuna.visualization.matplotlib import plot_edf

    words = (
        "How many trials reach a score",
        f"Share of the {len(_scored(study))} trials whose {metric} is at most the value below.",
        "A steep part means that many hyperparameters do about as well as each other.",
    )
    return _drawn(plot_edf, "search_distribution", words, metric, study)


def _importance(study: optuna.Study, metric: str, weights: dict[str, float]) -> Picture:
    from optuna.importance import FanovaImportanceEvaluator
    from optuna.visualization.matplotlib import plot_param_importances

    first = listed([f"{name} ({number(value, 2)})" for name, value in list(weights.items())[:3]])
    words = (
        "Which hyperparameters matter",
        f"Share of the variance of {metric} that each hyperparameter explains: {first}.",
        "By functional ANOVA on the trials; with few of them it is a hint, no more.",
    )
    evaluator = FanovaImportanceEvaluator(seed=0)
    options = {"evaluator": evaluator, "params": list(weights)}
    return _drawn(plot_param_importances, "search_importance", words, metric, study, **options)


def _slices(study: optuna.Study, metric: str, names: list[str]) -> Picture:
    from optuna.visualization.matplotlib import plot_slice

    words = (
        "Score by each hyperparameter",
        f"{metric} of every trial against {listed(names)}, one panel each.",
        "Dark points are later trials. The best ones at an edge ask for a wider space.",
    )
    return _drawn(plot_slice, "search_slices", words, metric, study, params=names)


def _parallel(study: optuna.Study, metric: str, names: list[str]) -> Picture:
    from optuna.visualization.matplotlib import plot_parallel_coordinate

    words = (
        "Hyperparameters of each trial",
        f"One line per trial through its {metric} and its {listed(names)}.",
        "Dark lines have the better scores.",
    )
    return _drawn(plot_parallel_coordinate, "search_parallel", words, metric, study, params=names)


def _contour(study: optuna.Study, metric: str, names: list[str]) -> Picture:
    from optuna.visualization.matplotlib import plot_contour

    words = (
        "Score by the two that matter most",
        f"{metric} over {listed(names)}, interpolated between the trials, which are the points.",
        "Where there are no points the colour is a guess.",
    )
    return _drawn(plot_contour, "search_contour", words, metric, study, params=names)
