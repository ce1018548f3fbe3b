"""Tables of numbers, and similarities of clips, as pictures."""

import itertools
import textwrap
from collections.abc import Iterator, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from sss_lib.figures import published
from sss_lib.figures.plots import style
from sss_lib.figures.plots.style import contrasting, plain


def cells(
    table: pd.DataFrame, ax: Axes, low: float, high: float, *, cmap: str = "cividis_r", size: float = 6
) -> AxesImage:
    """Cells of a table by colour, nan left white, with their numbers in a size of text; 0 for none."""
    image = ax.imshow(table, cmap=cmap, vmin=low, vmax=high, aspect="auto")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for (i, j), value in np.ndenumerate(table.to_numpy()) if size else ():
        if np.isfinite(value):
            colour = contrasting(image.cmap(image.norm(value)))
            ax.text(j, i, f"{value:.2f}", size=size, ha="center", va="center", color=colour)
    return image


def published_differences(numbers: pd.DataFrame) -> Iterator[tuple[str, str, Figure]]:
    """Name, caption and figure of measured less published MAP, of each source that was measured.

    Parameters
    ----------
    numbers : pd.DataFrame
        From `published.check_all`.
    """
    for source in numbers["source"].unique():
        table = published.differences(numbers, source).dropna(how="all").dropna(how="all", axis=1)
        if not table.size:
            continue
        table = table.T if source == "classes" else table  # 200 classes are rows
        figure, ax = plt.subplots(figsize=(style.PAGE, 1.5 + 0.14 * len(table)))
        heatmap(table, ax, centred=True).set_title(f"{source}: measured - published MAP", loc="left")
        name = source.lower().replace(". ", "").replace(" ", "")
        words = f"Measured less published MAP on FSD50K's eval set: Araz et al. (CBMI 2024), {source}."
        yield f"published-{name}-differences", words, figure


def heatmap(table: pd.DataFrame, ax: Axes, *, centred: bool = False, most: int = 16) -> Axes:
    """Cells of a table by colour, with their numbers where no more than `most` columns leave room for them.

    Parameters
    ----------
    table : pd.DataFrame
        Rows and columns are named; nan is left white.
    centred : bool
        Whether the colours stand for less and more than zero; else for 0 to 1.
    """
    largest = float(np.nanmax(np.abs(table), initial=1e-9)) if centred else 1.0
    # Orange and purple are told apart by readers with the common forms of colour blindness.
    look = ("PuOr", -largest) if centred else ("cividis_r", 0)
    image = cells(table, ax, look[1], largest, cmap=look[0], size=6 if table.shape[1] <= most else 0)
    ax.set_yticks(range(len(table)), [textwrap.shorten(plain(name), 34) for name in table.index], fontsize=7)
    ax.set_xticks(range(table.shape[1]), [plain(name) for name in table.columns], fontsize=7, rotation=90)
    ax.figure.colorbar(image, ax=ax, shrink=0.6)
    return ax


def similarity_matrix(
    x: np.ndarray, groups: Sequence[str], ax: Axes, *, within: Sequence[str] | None = None, most: int = 120
) -> Axes:
    """Cosine of every two clips, ordered by group: clips that are alike make squares on the diagonal.

    Sixteen colours on few clips keep the picture below 100 kB.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
    groups : sequence of str [n_clips]
        Family or class of each clip, in alphabetical order in the picture; "" for none, which come last.
    ax : Axes
    within : sequence of str [n_clips], optional
        Class of each clip, by which those of a group are ordered.
    most : int
        Clips that are drawn: evenly chosen from their order, so that a group keeps its share.
    """
    names = np.asarray(groups, dtype=object)
    inner = np.zeros(len(x), int) if within is None else np.asarray(within).astype(str)
    order = np.lexsort((inner, names.astype(str), names == ""))  # of equals the first stays first
    order = order[np.linspace(0, len(order) - 1, min(most, len(order))).astype(int)]
    names, unit = names[order], np.asarray(x[order], float)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-30)
    image = ax.imshow(unit @ unit.T, cmap=mpl.colormaps["PuOr"].resampled(16), vmin=-1, vmax=1)
    begins = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1), len(names)]
    ax.set_xticks([])
    middles = [(a + b - 1) / 2 for a, b in itertools.pairwise(begins) if b - a >= len(names) / 40]
    labels = [textwrap.fill(plain(names[int(middle)]) or "none", 14) for middle in middles]
    ax.set_yticks(middles, labels, fontsize=7)
    ax.tick_params(length=0)
    for begin in begins[1:-1] if len(begins) < 20 else ():
        ax.axhline(begin - 0.5, color="black", linewidth=0.4)
        ax.axvline(begin - 0.5, color="black", linewidth=0.4)
    ax.figure.colorbar(image, ax=ax, shrink=0.6, label="cosine of two clips")
    return ax
