"""Figures that look into systems: by family, by class, by what is mistaken for what."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from sss_lib import models, tables
from sss_lib.plots.style import GROUP_COLOURS, MARKERS, plain


def families_of_best(scores: pd.DataFrame, *, n: int = 15) -> pd.DataFrame:
    """MAP@n of each model's best system by family: a row a model, best first, named as it is displayed.

    A family's value is the mean over those of its classes that can be queried; one without such isn't there.
    """
    best = tables.best_systems(scores, n)
    families = tables.select(tables.of_systems(scores, best), "MAP", n, level="family")
    table = families.pivot_table(index="model", columns="name", values="value").loc[best["model"]]
    return table.rename(index={name: models.spec(name).display_name for name in table.index})


def family_heatmap(table: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """MAP@n of systems by family, darker is better (the paper's Fig. 2).

    Parameters
    ----------
    table : pd.DataFrame
        A row a system, a column a family: `families_of_best`, or published numbers.
    """
    image = ax.imshow(table, cmap="cividis_r", vmin=0, vmax=max(0.5, table.max().max()), aspect="auto")
    ax.set_yticks(range(len(table)), table.index)
    names = [plain(name).replace(" ", "\n", 1) for name in table.columns]
    ax.set_xticks(range(len(names)), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for (i, j), value in np.ndenumerate(table.to_numpy()):
        red, green, blue, _ = image.cmap(image.norm(value))
        light = 0.3 * red + 0.59 * green + 0.11 * blue > 0.5
        ax.text(j, i, f"{value:.2f}", ha="center", va="center", color="black" if light else "white")
    ax.set_title(f"MAP@{n} by family, higher is better", loc="left")
    return ax


def class_bars(scores: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """MAP@n of every class that can be queried, best class first: one marker a model, best systems only."""
    best = tables.best_systems(scores, n)
    classes = tables.select(tables.of_systems(scores, best), "MAP", n, level="class")
    table = classes.pivot_table(index="name", columns="model", values="value")[best["model"].tolist()]
    table = table.sort_values(table.columns[0], kind="stable")
    sizes = classes.drop_duplicates("name").set_index("name")["n_queries"]
    position = np.arange(len(table))
    ax.barh(position, table.iloc[:, 0], color=models.spec(table.columns[0]).colour, height=0.8, alpha=0.85)
    looks = {
        model: (models.spec(model).colour, marker) for model, marker in zip(table, MARKERS, strict=False)
    }
    for model, (colour, marker) in list(looks.items())[1:]:
        ax.plot(
            table[model], position, marker, color=colour, markersize=4, mec="black", mew=0.3, clip_on=False
        )
    names = [f"{plain(name)} ({sizes[name]})" for name in table.index]
    ax.set_yticks(position, names, fontsize=7)
    ax.set_ylim(-0.6, len(table) - 0.4)
    ax.set_xlim(0, 1)
    ax.set_xlabel(f"MAP@{n}, higher is better")
    handles = [
        Line2D([], [], linestyle="", marker=m, color=c, mec="black", mew=0.3) for c, m in looks.values()
    ]
    ax.legend(handles, [models.spec(model).display_name for model in looks], loc="lower right", frameon=False)
    ax.set_title("Each class that can be queried (its clips)", loc="left")
    ax.grid(axis="x", linewidth=0.4, alpha=0.5)
    return ax


def family_dots(scores: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """MAP@n of each model's best system in each family, with its 95 % interval; best family on top."""
    best = tables.best_systems(scores, n)
    found = tables.select(tables.of_systems(scores, best), "MAP", n, level="family")
    names = found.groupby("name")["value"].max().sort_values(kind="stable").index
    shift = np.linspace(0.3, -0.3, len(best)) if len(best) > 1 else [0.0]
    for model, marker, dy in zip(best["model"], MARKERS * len(best), shift, strict=False):
        spec, own = models.spec(model), found[found["model"] == model].set_index("name").reindex(names)
        errors = [own["value"] - own["ci_low"], own["ci_high"] - own["value"]]
        ax.errorbar(
            own["value"],
            np.arange(len(names)) + dy,
            xerr=np.clip(errors, 0, None),
            marker=marker,
            markersize=4,
            elinewidth=0.7,
            linestyle="",
            color=spec.colour,
            label=spec.display_name,
        )
    ax.set_yticks(range(len(names)), [plain(name) for name in names])
    ax.tick_params(axis="y", length=0)
    ax.set(xlabel=f"MAP@{n} by family, higher is better", xlim=(0, 1), ylim=(-0.6, len(names) - 0.4))
    ax.grid(axis="x", linewidth=0.4, alpha=0.5)
    ax.legend(frameon=False, fontsize=7, loc="lower right")
    return ax


def class_differences(scores: pd.DataFrame, one: str, other: str, ax: Axes, *, n: int = 15) -> Axes:
    """Where two models' best systems disagree: MAP@n of one minus the other's, class by class.

    Parameters
    ----------
    one, other : str
        Names of models.
    """
    best = tables.best_systems(scores, n)
    found = tables.select(tables.of_systems(scores, best), "MAP", n, level="class")
    table = found.pivot_table(index="name", columns="model", values="value")
    difference = (table[one] - table[other]).dropna().sort_values(kind="stable")
    colours = np.where(difference > 0, models.spec(one).colour, models.spec(other).colour)
    position = np.arange(len(difference))
    ax.barh(position, difference, 0.8, color=colours)
    ax.set_yticks(position, [plain(name) for name in difference.index], fontsize=7)
    ax.set_ylim(-0.6, len(difference) - 0.4)
    ax.axvline(0, color="black", linewidth=0.6)
    left, right = models.spec(other).display_name, models.spec(one).display_name
    ax.set_xlabel(f"MAP@{n}: {left} is better < 0 < {right} is better")
    ax.grid(axis="x", linewidth=0.4, alpha=0.5)
    return ax


def confusion_heatmap(table: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """Which classes a query's first n results have; see `confusion.between_classes`.

    Parameters
    ----------
    table : pd.DataFrame
        Share of results, a row a class of the query, a column a class of the result.
    """
    image = ax.imshow(table, cmap="Blues", vmin=0, aspect="equal", interpolation="nearest")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(range(len(table)), [plain(name) for name in table.index], fontsize=6)
    ax.tick_params(axis="x", rotation=90, length=0)
    ax.tick_params(axis="y", length=0)
    ax.set(xlabel=f"class of the results (first {n})", ylabel="class of the query")
    ax.figure.colorbar(image, ax=ax, shrink=0.5, label="share of results that have the class")
    return ax


def embedding_map(points: np.ndarray, groups: list[str], ax: Axes) -> Axes:
    """Clips in two dimensions, coloured and shaped by group; those of none are small and grey.

    Parameters
    ----------
    points : np.ndarray [shape=(n_clips, 2)]
        From `projection.project`.
    groups : list of str [n_clips]
        Such as the family of each clip; "" for none.
    """
    names = sorted({group for group in groups if group})
    groups = np.asarray(groups)
    ax.scatter(*points[groups == ""].T, s=6, color="#BBBBBB", linewidths=0, label="no family")
    for name, colour, marker in zip(names, GROUP_COLOURS * 9, MARKERS * 9, strict=False):
        ax.scatter(
            *points[groups == name].T, s=14, color=colour, marker=marker, linewidths=0, label=plain(name)
        )
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def co_occurrence(together: pd.DataFrame, ax: Axes) -> Axes:
    """Share of the clips of each row's class that have the column's class too.

    Parameters
    ----------
    together : pd.DataFrame [shape=(n, n)]
        From `overview.co_occurrence`.
    ax : Axes
    """
    image = ax.imshow(together, cmap="cividis", vmin=0, vmax=1)
    numbers = range(1, len(together) + 1)
    labels = [f"{plain(label)[:28]}  {i}" for i, label in zip(numbers, together.index, strict=True)]
    ax.set_xticks(range(len(together)), numbers, fontsize=7)
    ax.set_yticks(range(len(together)), labels, fontsize=7)
    ax.set(ylabel="of the clips of this class ...", xlabel="... the share that has that one too")
    ax.figure.colorbar(image, ax=ax, label="share of clips", shrink=0.7)
    return ax
