"""Figures by family and class: scores, differences, confusion, co-occurrence, and the map of clips."""

import textwrap

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sss_lib.experiment.scores import distinct, select
from sss_lib.figures.plots.heatmaps import cells
from sss_lib.figures.plots.style import GROUP_COLOURS, MARKERS, looks, plain, wrapped
from sss_lib.figures.plots.systems import best_scores, interval_words, require_model, whiskers
from sss_lib.figures.tables import display_names
from sss_lib.models import registry as models

MOST_CLASSES, MOST_MODELS = 60, 10
"""As many as fit on a page."""


def families_of_best(scores: pd.DataFrame, *, n: int = 15) -> pd.DataFrame:
    """MAP@n of each model's best system by family: a row a model, best first, by its displayed name.

    A family's value is the mean over its different classes with at least two clips; a family without such is
    left out.
    """
    return _of_best(scores, n, "family").rename(index=display_names(scores))


def queries_of(scores: pd.DataFrame, level: str, *, n: int = 15) -> pd.Series:
    """Queries of each family or class, by its name."""
    return best_scores(scores, n, level=distinct(scores, level)).groupby("name")["n_queries"].max()


def classes_of_best(scores: pd.DataFrame, *, n: int = 15) -> pd.DataFrame:
    """MAP@n of each model's best system by class, and the class's queries: a row a class, a column a model.

    Models have their displayed names, best first; classes are sorted by the score of the best model. Classes
    that hold the same clips share a row, under all their names.
    """
    table = _of_best(scores, n, "class").T
    table = table.sort_values(table.columns[0], ascending=False, kind="stable")
    table = table.rename(columns=display_names(scores))
    table.insert(0, "queries", queries_of(scores, "class", n=n)[table.index])
    return table.rename_axis(index="class", columns=None)


def _of_best(scores: pd.DataFrame, n: int, level: str) -> pd.DataFrame:
    found = best_scores(scores, n, level=distinct(scores, level))
    return found.pivot_table(index="model", columns="name", values="value").loc[found["model"].unique()]


def family_heatmap(table: pd.DataFrame, ax: Axes, *, n: int = 15, queries: pd.Series | None = None) -> Axes:
    """MAP@n of systems by family, darker is better (the paper's Fig. 2).

    Parameters
    ----------
    table : pd.DataFrame
        A row a system, a column a family: `families_of_best`, or published numbers.
    queries : pd.Series, optional
        Number of queries of each family, written below its name.
    """
    cells(table, ax, 0, max(0.7, table.max().max()), size=8)
    ax.set_yticks(range(len(table)), [textwrap.fill(plain(name), 40) for name in table.index])
    names = [textwrap.fill(plain(name), 10, break_long_words=False) for name in table.columns]
    if queries is not None:
        counts = queries.reindex(table.columns)
        names = [f"{name}\n({count} queries)" for name, count in zip(names, counts, strict=True)]
    ax.set_xticks(range(len(names)), names, fontsize=8)
    ax.set_title(f"MAP@{n} by family, higher is better", loc="left")
    return ax


def class_bars(scores: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """MAP@n by class, best first: a bar for the best model, markers for the others.

    At most the ten best models, and the 60 classes on which these models, baselines aside, differ most.
    `classes_of_best` has all.
    """
    every = _of_best(scores, n, "class").T
    table, n_all = every.iloc[:, :MOST_MODELS], len(every)
    title = "Each class that can be queried (clips)"
    if n_all > MOST_CLASSES:
        contenders = [name for name in table if not models.spec(name).is_baseline] or list(table)
        gap = table[contenders].max(axis=1) - table[contenders].min(axis=1)
        table = table.loc[gap.nlargest(MOST_CLASSES).index]
        title = f"The {MOST_CLASSES} of {n_all} classes that differ most (clips)"
    table = table.sort_values(table.columns[0], kind="stable")
    look, position = looks(display_names(scores)), np.arange(len(table))
    first = look[table.columns[0]]
    ax.barh(position, table.iloc[:, 0], 0.8, color=first["color"], alpha=0.35, label=first["label"])
    for model in table.columns[1:]:
        ax.plot(table[model], position, markersize=4, mew=0.7, clip_on=False, **look[model], ls="")
    _name_rows(ax, table.index, queries_of(scores, "class", n=n))
    ax.set(xlim=(0, 1), xlabel=f"MAP@{n}, higher is better")
    ax.set_title(title + _best_of(len(table.columns), len(every.columns)), loc="left")
    return ax


def class_dots(scores: pd.DataFrame, ax: Axes, *, n: int = 15, min_queries: int = 5) -> Axes:
    """MAP@n of one system by class, best first: dots sized by the class's queries, intervals, and chance.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores of one system, with chance.
    ax : Axes
    n : int
    min_queries : int
        Smaller classes are left out and counted in the title, unless all are smaller: a class of two clips
        has a MAP of 1 or of little by luck. Of more than 60 classes the largest are drawn. The figure is
        made as high as its rows need.
    """
    every = select(scores, "MAP", n, level=distinct(scores, "class"))
    found = every[every["n_queries"] >= min(min_queries, every["n_queries"].max())]
    largest = found.astype({"n_queries": int}).nlargest(MOST_CLASSES, "n_queries")
    found = largest.sort_values("value", kind="stable")
    position, area = np.arange(len(found)), 90 * np.sqrt(found["n_queries"] / found["n_queries"].max())
    line = {"linestyle": "", "elinewidth": 0.8, "ecolor": "#999999"}
    ax.errorbar(found["value"], position, xerr=whiskers(found), **line)
    ax.scatter(found["value"], position, area, color="#0072B2", zorder=3, label="class, sized by queries")
    ax.plot(found["chance"], position, "|", color="#D55E00", markersize=7, label="chance")
    _name_rows(ax, found["name"], found.set_index("name")["n_queries"])
    ax.set(xlim=(0, 1.02), xlabel=f"MAP@{n}, higher is better\n({interval_words(found)})")
    ax.figure.set_figheight(1.3 + 0.2 * len(found))
    few = f"; {len(every) - len(found)} smaller ones are left out" if len(every) > len(found) else ""
    ax.set_title(f"{len(found)} classes (queries){few}", loc="left")
    ax.legend(frameon=False, fontsize=7, loc="lower right")
    return ax


def family_dots(scores: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """MAP@n of each model's best system by family, with its 95 % interval; at most the ten best models."""
    found, sizes = best_scores(scores, n, level=distinct(scores, "family")), queries_of(scores, "family", n=n)
    contenders = found["model"].unique()
    drawn = contenders[:MOST_MODELS]
    found = found[found["model"].isin(drawn)]
    names = found.groupby("name")["value"].max().sort_values(kind="stable").index
    shift = np.linspace(0.35, -0.35, len(drawn)) if len(drawn) > 1 else [0.0]
    look = looks(display_names(scores))
    for model, dy in zip(drawn, shift, strict=True):
        own = found[found["model"] == model].set_index("name").reindex(names)
        at, marks = np.arange(len(names)) + dy, {"markersize": 4, "markeredgewidth": 0.7, "elinewidth": 0.7}
        ax.errorbar(own["value"], at, xerr=whiskers(own), linestyle="", **marks, **look[model])
    rows = [f"{textwrap.fill(plain(name), 14)}\n({sizes[name]} queries)" for name in names]
    ax.set_yticks(range(len(names)), rows)
    ax.tick_params(axis="y", length=0)
    ax.set(
        xlabel=f"MAP@{n} by family, higher is better\n({interval_words(found)})",
        xlim=(0, 1),
        ylim=(-0.6, len(names) - 0.4),
    )
    for between in range(len(names) - 1):
        ax.axhline(between + 0.5, color="#CCCCCC", linewidth=0.4)
    ax.grid(axis="x", linewidth=0.4, alpha=0.5)
    ax.set_title(_best_of(len(drawn), len(contenders)).removeprefix("; ").capitalize(), loc="left")
    return ax


def class_differences(scores: pd.DataFrame, one: str, other: str, ax: Axes, *, n: int = 15) -> Axes:
    """MAP@n of one model's best system minus the other's, by class; at most the 60 largest differences.

    Parameters
    ----------
    one, other : str
        Names of models.
    """
    for model in (one, other):
        require_model(scores, model)
    table = _of_best(scores, n, "class").reindex(list({one, other}))
    every = (table.loc[one] - table.loc[other]).dropna()
    difference = every[every.abs().nlargest(MOST_CLASSES).index].sort_values(kind="stable")
    colours = np.where(difference > 0, models.spec(one).colour, models.spec(other).colour)
    hatches = np.where(difference > 0, "", "///").tolist()
    ax.barh(np.arange(len(difference)), difference, 0.8, color=colours, hatch=hatches, ec="white", lw=0)
    _name_rows(ax, difference.index, queries_of(scores, "class", n=n))
    ax.axvline(0, color="black", linewidth=0.6)
    names = {name: wrapped(shown) for name, shown in display_names(scores).items()}
    ax.set_xlabel(f"MAP@{n}: {names[other]} is better < 0 < {names[one]} is better", wrap=True)
    title = "Each class that can be queried (clips)"
    if len(difference) < len(every):
        title = f"The {len(difference)} of {len(every)} classes that differ most (clips)"
    ax.set_title(title, loc="left")
    return ax


def _name_rows(ax: Axes, names: pd.Index, sizes: pd.Series) -> None:
    rows = [f"{plain(name)} ({sizes[name]})" for name in names]
    ax.set_yticks(np.arange(len(names)), rows, fontsize=7)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.grid(axis="x", linewidth=0.4, alpha=0.5)


def _best_of(n_drawn: int, n_all: int) -> str:
    return "" if n_drawn == n_all else f"; the {n_drawn} best of {n_all} models"


def confusion_heatmap(table: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """Classes of a query's first n results; see `confusion.between_classes`.

    The colours follow the square root of the share, so that one large share leaves small ones in view. Rows
    don't sum to 1: a result has several classes, and not all are drawn.

    Parameters
    ----------
    table : pd.DataFrame
        Share of results, a row a class of the query, a column a class of the result.
    """
    scale = mpl.colors.PowerNorm(0.5, 0, max(table.max(axis=None), 1e-9))
    image = ax.imshow(table, cmap="Blues", norm=scale, aspect="auto", interpolation="nearest")
    _name_square(ax, table.index)
    ax.set(xlabel=f"class of the results (first {n})", ylabel="class of the query")
    ax.figure.colorbar(image, ax=ax, shrink=0.7, label="share of results that have the class (root scale)")
    return ax


def embedding_map(points: np.ndarray, groups: list[str], ax: Axes) -> Axes:
    """Clips in two dimensions; colour and marker show the group, small grey points have none.

    Parameters
    ----------
    points : np.ndarray [shape=(n_clips, 2)]
        From `projection.project`.
    groups : list of str [n_clips]
        Group of each clip, such as its family; "" for none.
    """
    names = sorted({group for group in groups if group})
    of_clip = np.asarray(groups)
    n_of = pd.Series(of_clip).value_counts()
    alone = f"no family ({n_of.get('', 0)})"
    ax.scatter(*points[of_clip == ""].T, s=10, color="#999999", linewidths=0, label=alone)
    for i, name in enumerate(names):
        look = {"color": GROUP_COLOURS[i % len(GROUP_COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
        ax.scatter(
            *points[of_clip == name].T, s=14, linewidths=0, label=f"{plain(name)} ({n_of[name]})", **look
        )
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{len(points)} clips by the first of their families (clips)", loc="left")
    ax.spines[:].set_visible(False)
    ax.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def co_occurrence(together: pd.DataFrame, ax: Axes) -> Axes:
    """Share of the clips of the row's class that also have the column's class.

    Parameters
    ----------
    together : pd.DataFrame [shape=(n, n)]
        From `overview.co_occurrence`.
    ax : Axes
    """
    image = ax.imshow(together, cmap="cividis", vmin=0, vmax=1)
    _name_square(ax, together.index)
    ax.set(ylabel="of the clips of this class ...", xlabel="... the share that has that one too")
    ax.figure.colorbar(image, ax=ax, label="share of clips", shrink=0.7)
    return ax


def _name_square(ax: Axes, labels: pd.Index) -> None:
    """Label the rows and columns of a square by name."""
    size = 7 if len(labels) <= 30 else 5.5
    names = [textwrap.fill(plain(label), 34) for label in labels]
    ax.set_xticks(range(len(labels)), names, fontsize=size, rotation=90)
    ax.set_yticks(range(len(labels)), names, fontsize=size)
    ax.tick_params(length=0)
