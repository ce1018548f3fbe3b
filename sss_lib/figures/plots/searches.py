"""Figures of searches: how often each clip is found, and what approximate searches save and lose."""

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


def hubs(n_found: Mapping[str, np.ndarray], ax: Axes, *, n: int = 10) -> Axes:
    """Histogram of how often a clip is among the first n results of the others, a line a search.

    Hubs are far to the right. Whatever the search, the mean is n.

    Parameters
    ----------
    n_found : mapping of str to np.ndarray [shape=(n_clips,), dtype=int]
        By search: how many queries find each clip.
    ax : Axes
    n : int

    References
    ----------
    Radovanović, Nanopoulos and Ivanović (2010), Hubs in space: popular nearest neighbors in
    high-dimensional data, JMLR 11.
    """
    most = max(counts.max(initial=0) for counts in n_found.values())
    width = most // 30 + 1  # whole numbers in each of at most some thirty bins
    edges = np.arange(0, most + 1 + width, width) - 0.5
    for i, (search, counts) in enumerate(n_found.items()):
        look = {"color": GROUP_COLOURS[i % len(GROUP_COLOURS)], "linestyle": ("-", "--", ":")[i % 3]}
        ax.stairs(np.histogram(counts, edges)[0], edges, label=search, linewidth=1.5, **look)
    ax.axvline(n, color="#999999", linewidth=0.7, linestyle="--", label=f"all alike: {n}")
    ax.set(xlabel=f"queries that find a clip among their first {n}", ylabel="clips", xlim=(-0.5, None))
    ax.legend(frameon=False, fontsize=8)
    return ax
