"""Figures of what approximate searches save and lose."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sss_lib.figures.plots.style import GROUP_COLOURS, MARKERS
from sss_lib.search.naming import parse

COLOURS = dict(zip(("Flat", "HNSW", "IVF", ""), (*GROUP_COLOURS[:3], GROUP_COLOURS[6]), strict=True))
"""By structure; none for an exact search."""


def search_costs(table: pd.DataFrame, ax: Axes, *, by: str = "speed", n: int = 15) -> Axes:
    """Each search beside the exact one: what it finds of it by its speed, or what it loses by its size.

    Parameters
    ----------
    table : pd.DataFrame
        From `tradeoffs.against_exact`, of one variant.
    ax : Axes
    by : str
        "speed": recall@n against how many times faster than exact search it was, of a query that comes alone;
        "size": the macro MAP@n that it loses, with its 95 % interval, against the bytes that a clip takes.
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
