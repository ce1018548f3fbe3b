"""Tables of numbers as pictures."""

import textwrap
from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sss_lib.figures import published
from sss_lib.figures.plots import style
from sss_lib.figures.plots.style import contrasting, plain


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
    image = ax.imshow(
        table,
        cmap="PuOr" if centred else "cividis_r",
        vmin=-largest if centred else 0,
        vmax=largest,
        aspect="auto",
    )
    ax.set_yticks(range(len(table)), [textwrap.shorten(plain(name), 34) for name in table.index], fontsize=7)
    ax.set_xticks(range(table.shape[1]), [plain(name) for name in table.columns], fontsize=7, rotation=90)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(image, ax=ax, shrink=0.6)
    for (i, j), value in np.ndenumerate(table.to_numpy()) if table.shape[1] <= most else ():
        if np.isfinite(value):
            colour = contrasting(image.cmap(image.norm(value)))
            ax.text(j, i, f"{value:.2f}", size=6, ha="center", va="center", color=colour)
    return ax
