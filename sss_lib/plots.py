"""One function per kind of figure: each draws into an Axes and returns it. One look for all."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sss_lib import models, tables
from sss_lib.artefacts import replacing

STYLE = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "svg.hashsalt": "semantic-sound-similarity",
}
COLUMN, PAGE = 3.5, 7.2
"""Widths in inches of one column and of the page of a two-column paper."""

SEARCH_LOOKS = {
    "mips": ("MIPS: inner product", "#D55E00", "//"),
    "mcss": ("MCSS: cosine", "#0072B2", ""),
    "nns": ("NNS: Euclidean", "#009E73", ".."),
}
MARKERS = "soD^v<>ph*"


def use_style() -> None:
    """Set the look of all figures; call it once, before drawing."""
    mpl.rcParams.update(STYLE)


def save(figure: Figure, folder: str | Path, name: str) -> list[Path]:
    """Write a figure as SVG and PNG with the same bytes each time, and return the paths."""
    paths = [Path(folder) / f"{name}.{suffix}" for suffix in ("svg", "png")]
    for path in paths:
        about = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        with replacing(path) as temporary:
            figure.savefig(temporary, metadata=about)
    return paths


def processing_grid(
    scores: pd.DataFrame, model: str, ax: Axes, *, n: int = 15, floor: float | None = None
) -> Axes:
    """Macro MAP@n of one model for every way to process it, a bar for each search (the paper's Fig. 1).

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores under one protocol or several; the standard one is drawn.
    model : str
    ax : Axes
    n : int
        Cutoff.
    floor : float, optional
        Drawn as a line: what chance gives.
    """
    found = tables.select(scores, "MAP", n)
    found = found[found["model"] == model]
    if found.empty:
        raise ValueError(f"no scores of model {model!r}; there are {', '.join(sorted(set(scores['model'])))}")
    aggregations = models.spec(model).aggregations
    keys = ["scale", "pca", "normalize", "aggregation"]
    order = found.assign(
        pca=found["n_components"].fillna(0).astype(int),
        how=found["aggregation"].map({a: i for i, a in enumerate(aggregations)}),
    )
    order = order.sort_values(["scale", "pca", "normalize", "how"], kind="stable")
    groups = list(dict.fromkeys(order[keys].itertuples(index=False, name=None)))
    width = 0.26
    for j, (search, (label, colour, hatch)) in enumerate(SEARCH_LOOKS.items()):
        own = order[order["search"] == search].set_index(keys)
        present = [i for i, group in enumerate(groups) if group in own.index]
        rows = own.loc[[groups[i] for i in present]]
        errors = [rows["value"] - rows["ci_low"], rows["ci_high"] - rows["value"]]
        ax.bar(
            np.array(present) + (j - 1) * width,
            rows["value"],
            width,
            yerr=np.clip(errors, 0, None),
            label=label,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.4,
            error_kw={"elinewidth": 0.7, "ecolor": "#333333"},
        )
    ax.set_xticks(range(len(groups)), [_group_label(*group) for group in groups], fontsize=7)
    ax.tick_params(axis="x", length=0)
    if floor is not None:
        ax.axhline(floor, color="#555555", linewidth=0.8, linestyle="--", label="chance")
    ax.set_ylabel(f"macro MAP@{n}")
    ax.set_title(f"{models.spec(model).display_name} (higher is better)", loc="left")
    ax.grid(axis="y", linewidth=0.4, alpha=0.5)
    ax.set_ylim(0)
    return ax


def _group_label(scale: bool, pca: int, normalize: bool, aggregation: str) -> str:
    lines = [] if aggregation == "none" else [aggregation]
    lines += ["min-max"] if scale else []
    return "\n".join([*lines, f"PCA {pca}" if pca else "no PCA", "L2" if normalize else "raw"])


def _plain(label: str) -> str:
    """Return a label as text, whatever it holds: a dollar sign would begin mathematics."""
    return label.replace("_", " ").replace("$", r"\$")


def family_heatmap(scores: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """MAP@n of each model's best system by family, darker is better (the paper's Fig. 2).

    A family's value is the mean over those of its classes that can be queried; one without such isn't shown.
    """
    best = tables.best_systems(scores, n)
    own = tables.of_systems(scores, best)
    families = tables.select(own, "MAP", n, level="family")
    table = families.pivot_table(index="model", columns="name", values="value").loc[best["model"]]
    image = ax.imshow(table, cmap="cividis_r", vmin=0, vmax=max(0.5, table.max().max()), aspect="auto")
    ax.set_yticks(range(len(table)), [models.spec(model).display_name for model in table.index])
    names = [_plain(name).replace(" ", "\n", 1) for name in table.columns]
    ax.set_xticks(range(len(names)), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for (i, j), value in np.ndenumerate(table.to_numpy()):
        red, green, blue, _ = image.cmap(image.norm(value))
        light = 0.3 * red + 0.59 * green + 0.11 * blue > 0.5
        ax.text(j, i, f"{value:.2f}", ha="center", va="center", color="black" if light else "white")
    ax.set_title(f"MAP@{n} by family, each model's best system, higher is better", loc="left")
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
    names = [f"{_plain(name)} ({sizes[name]})" for name in table.index]
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


def ladder(scores: pd.DataFrame, chance: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """Macro MAP@n of each model's best system with its 95 % interval, down to chance."""
    best = tables.best_systems(scores, n)
    rows = tables.select(tables.of_systems(scores, best), "MAP", n).set_index("model").loc[best["model"]]
    (floor,) = tables.select(chance, "MAP", n)["value"]
    names = [*(models.spec(model).display_name for model in rows.index), tables.CHANCE]
    values = [*rows["value"], floor]
    errors = [[*(rows["value"] - rows["ci_low"]), 0], [*(rows["ci_high"] - rows["value"]), 0]]
    colours = [*(models.spec(model).colour for model in rows.index), "#DDDDDD"]
    position = np.arange(len(names))[::-1]
    ax.barh(position, values, 0.7, xerr=np.clip(errors, 0, None), color=colours, error_kw={"elinewidth": 1})
    ends = [*rows["ci_high"], floor]
    for y, value, end in zip(position, values, ends, strict=True):
        ax.text(end, y, f"  {value:.2f}", va="center")
    ax.set_yticks(position, names)
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(0, max(ends) * 1.15)
    ax.set_xlabel(f"macro MAP@{n}, higher is better (95 % bootstrap interval)")
    ax.grid(axis="x", linewidth=0.4, alpha=0.5)
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
    labels = [f"{_plain(label)[:28]}  {i}" for i, label in zip(numbers, together.index, strict=True)]
    ax.set_xticks(range(len(together)), numbers, fontsize=7)
    ax.set_yticks(range(len(together)), labels, fontsize=7)
    ax.set(ylabel="of the clips of this class ...", xlabel="... the share that has that one too")
    ax.figure.colorbar(image, ax=ax, label="share of clips", shrink=0.7)
    return ax
