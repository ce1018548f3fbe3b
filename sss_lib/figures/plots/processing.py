"""Figures that compare ways to process embeddings, as in the paper's Fig. 1."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sss_lib.experiment.scores import select, transform_words
from sss_lib.figures.plots import style
from sss_lib.figures.plots.style import GROUP_COLOURS, SEARCH_LOOKS, wrapped
from sss_lib.figures.plots.systems import best_scores, require_model, whiskers
from sss_lib.figures.tables import display_names
from sss_lib.processing.aggregation import AGGREGATIONS

BLOCK = ["scale", "pre_normalize", "transform", "pca", "normalize"]
WAY = [*BLOCK, "how"]
SPLIT = ["scale", "pre_normalize", "transform"]
CROWDED = 12
"""Most groups of bars whose labels fit horizontally; a panel of more is split."""


def processing_pages(scores: pd.DataFrame, *, n: int = 15, chance: float | None = None) -> list[Figure]:
    """Figures of all panels of `processing_panels`, five to a page."""
    panels, pages = processing_panels(scores, n=n), []
    for first in range(0, len(panels), 5):
        shown = panels[first : first + 5]
        figure, axes = plt.subplots(len(shown), 1, figsize=(style.PAGE, 1.75 * len(shown)), squeeze=False)
        for panel, ax in zip(shown, axes.flat, strict=True):
            processing_grid(scores, ax=ax, n=n, chance=chance, **panel)
        style.legend(figure)
        pages.append(figure)
    return pages


def processing_panels(scores: pd.DataFrame, *, n: int = 15) -> list[dict]:
    """Keywords of `processing_grid` for the panels that show every way to process, best model first.

    A model with more than `CROWDED` ways has a panel for each combination of min-max scaling, unit length
    before PCA and transform.
    """
    found = _groups(scores, n)
    panels = []
    for model in best_scores(scores, n)["model"]:
        own = found[found["model"] == model]
        crowded = len(own.drop_duplicates(WAY)) > CROWDED
        keys = ["model", *(SPLIT if crowded else [])]
        panels += own[keys].drop_duplicates().sort_values(keys).to_dict("records")
    return panels


def processing_grid(
    scores: pd.DataFrame,
    model: str,
    ax: Axes,
    *,
    n: int = 15,
    chance: float | None = None,
    scale: bool | None = None,
    pre_normalize: bool | None = None,
    transform: str | None = None,
) -> Axes:
    """Macro MAP@n of one model for every way to process it, a bar for each search (the paper's Fig. 1).

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores under one protocol or several; the standard one is drawn. All panels of the same scores
        have the same range.
    model : str
    ax : Axes
    n : int
        Cutoff.
    chance : float, optional
        Expected score of random rankings, drawn as a line.
    scale, pre_normalize : bool, optional
        Draw only the ways with (True) or without (False) min-max scaling, or unit length before PCA.
    transform : str, optional
        Draw only the ways with this transform.
    """
    found = _groups(scores, n)
    require_model(found, model)
    own, title = found[found["model"] == model], [wrapped(display_names(scores)[model])]
    title += ["min-max"] * bool(scale) + ["L2 first"] * bool(pre_normalize)
    title += transform_words(transform or "none")
    for key, wanted in zip(SPLIT, (scale, pre_normalize, transform), strict=True):
        own = own if wanted is None else own[own[key] == wanted]
    ways = own.drop_duplicates(WAY).sort_values(WAY, kind="stable")
    block = ways.groupby(BLOCK).ngroup().to_numpy()
    at = pd.Series(np.arange(len(ways)) + 0.4 * block, pd.MultiIndex.from_frame(ways[WAY]))
    _draw_bars(ax, own, at)
    _label(ax, ways, at.to_numpy(), split=scale is not None)
    if chance is not None:
        ax.axhline(chance, color="#555555", linewidth=0.8, linestyle="--", label="chance")
    ax.set(ylabel=f"macro MAP@{n}", ylim=(0, 1.05 * np.nanmax(found[["value", "ci_high"]])))
    ax.set_title(f"{', '.join(title)} (higher is better)", loc="left")
    ax.grid(axis="y", linewidth=0.4, alpha=0.5)
    return ax


def _draw_bars(ax: Axes, own: pd.DataFrame, at: pd.Series) -> None:
    """Draw the searches of each way side by side, centred on the way's place."""
    available = own["search"].unique()
    searches = [name for name in SEARCH_LOOKS if name in available]
    searches += sorted({*available} - {*SEARCH_LOOKS})
    width = 0.8 / len(searches)
    for j, search in enumerate(searches):
        plain_look = search, GROUP_COLOURS[j % len(GROUP_COLOURS)], ""
        label, colour, hatch = SEARCH_LOOKS.get(search, plain_look)
        rows = own[own["search"] == search]
        position = at.loc[pd.MultiIndex.from_frame(rows[WAY])].to_numpy()
        ax.bar(
            position + (j - (len(searches) - 1) / 2) * width,
            rows["value"],
            width,
            yerr=whiskers(rows),
            label=label,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.4,
            error_kw={"elinewidth": 0.7, "ecolor": "#333333"},
        )


def _groups(scores: pd.DataFrame, n: int) -> pd.DataFrame:
    """Macro MAP@n of every system, with the keys that its place in a panel is sorted by."""
    found = select(scores, "MAP", n)
    order = {how: i for i, how in enumerate(AGGREGATIONS)}
    return found.assign(pca=found["n_components"].fillna(0).astype(int), how=found["aggregation"].map(order))


def _label(ax: Axes, ways: pd.DataFrame, at: np.ndarray, *, split: bool) -> None:
    """Name the aggregation below every group of bars, and below that the steps of each block of groups."""
    crowded, hows = len(ways) > CROWDED, ways["aggregation"].replace("none", "")
    ax.set_xticks(at, hows, rotation=90 if crowded else 0)
    blocks = ways.assign(at=at).groupby(BLOCK)["at"].mean()
    ax.set_xticks(blocks, [_words(*key, split=split) for key in blocks.index], minor=True)
    pad = 3 if not any(hows) else 34 if crowded else 12
    ax.xaxis.remove_overlapping_locs = False
    ax.tick_params(axis="x", which="both", length=0, labelsize=7)
    ax.tick_params(axis="x", which="minor", pad=pad)
    ax.set_xlim(at[0] - 0.8, at[-1] + 0.8)


def _words(
    scale: bool, pre_normalize: bool, transform: str, pca: int, normalize: bool, *, split: bool
) -> str:
    lines = [] if split else ["min-max"] * scale + ["L2 first"] * pre_normalize
    lines += [] if split else transform_words(transform)
    return "\n".join([*lines, f"PCA {pca}" if pca else "no PCA", "L2" if normalize else "raw"])
