"""Figures that compare approximate searches with exact ones."""

from collections.abc import Mapping

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sss_lib.figures.plots import style
from sss_lib.figures.plots.style import GROUP_COLOURS, MARKERS
from sss_lib.search.naming import parse

COLOURS = dict(zip(("Flat", "HNSW", "IVF", ""), (*GROUP_COLOURS[:3], GROUP_COLOURS[6]), strict=True))
"""By structure of the index; "" for an exact search."""


def search_panels(tables: Mapping[str, pd.DataFrame], *, by: str = "speed", n: int = 15) -> Figure:
    """Figure of the searches of several variants by name, a panel of `search_costs` each."""
    size = (style.PAGE, 2.4 * len(tables))
    figure, axes = plt.subplots(len(tables), 1, figsize=size, squeeze=False)
    for (name, table), ax in zip(tables.items(), axes.flat, strict=True):
        search_costs(table, ax, by=by, n=n).set_title(name, loc="left")
    style.legend(figure)
    return figure


def search_costs(table: pd.DataFrame, ax: Axes, *, by: str = "speed", n: int = 15) -> Axes:
    """Accuracy of each search against its speed or its memory.

    Parameters
    ----------
    table : pd.DataFrame
        From `tradeoffs.against_exact`, of one variant.
    ax : Axes
    by : str
        "speed": recall@n against the speed-up of a single query over exact search; "size": loss of macro
        MAP@n, with its 95 % interval, against bytes a clip.
    n : int
        A cutoff of the table.
    """
    if by not in ("speed", "size"):
        raise ValueError(f"by={by!r} is unknown: use speed or size")
    n_of: dict[str, int] = {}
    for row in table.to_dict("records"):
        structure = parse(row["search"]).structure
        nth = n_of[structure] = n_of.get(structure, -1) + 1
        look = {"color": COLOURS[structure], "marker": MARKERS[nth % len(MARKERS)], "markersize": 5}
        look |= {"linestyle": "", "label": row["search"]}
        if by == "speed":
            ax.plot(row["times faster alone"], row[f"recall@{n}"], **look)
        else:
            lost = row[f"MAP@{n} lost"]
            ends = [[lost - row[f"MAP@{n} lost low"]], [row[f"MAP@{n} lost high"] - lost]]
            ax.errorbar(row["bytes a clip"], lost, yerr=np.clip(ends, 0, None), elinewidth=0.7, **look)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")
    if by == "speed":
        ax.axvline(1, color="#999999", linewidth=0.7, linestyle="--")
        ax.set(
            xlabel="times faster than exact search (a query alone)", ylabel=f"recall@{n}\n(higher is better)"
        )
    else:
        ax.axhline(0, color="#999999", linewidth=0.7, linestyle="--")
        ax.set(xlabel="bytes a clip", ylabel=f"MAP@{n} lost\n(lower is better)")
    ax.grid(linewidth=0.4, alpha=0.5)
    return ax
