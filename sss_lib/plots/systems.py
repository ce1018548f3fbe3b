"""Figures that compare systems by one number each."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sss_lib import models, tables
from sss_lib.plots.style import MARKERS, SEARCH_LOOKS


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


def pca_curves(scores: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """Macro MAP@n of each model against the dimensions that PCA keeps, all else as in its best system.

    The last point of a line is the model without PCA, at its own dimension.
    """
    found = tables.select(scores, "MAP", n)
    same = [name for name in tables.SYSTEM if name != "n_components"]
    best = tables.best_systems(scores, n)
    own = found.merge(best[same], on=same)
    for model, marker in zip(best["model"], MARKERS, strict=False):
        spec = models.spec(model)
        line = own[own["model"] == model]
        line = line.assign(dim=line["n_components"].fillna(spec.dim).astype(int)).sort_values("dim")
        errors = [line["value"] - line["ci_low"], line["ci_high"] - line["value"]]
        ax.errorbar(
            line["dim"],
            line["value"],
            yerr=np.clip(errors, 0, None),
            marker=marker,
            markersize=4,
            linewidth=1,
            elinewidth=0.6,
            color=spec.colour,
            label=spec.display_name,
        )
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
    ax.set(xlabel="dimensions after PCA; the last point without", ylabel=f"macro MAP@{n}", ylim=(0, None))
    ax.grid(linewidth=0.4, alpha=0.5)
    ax.legend(frameon=False, fontsize=7)
    return ax


def macro_against_micro(scores: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """Macro against micro MAP@n of each model's best system: above the line, large classes lift it."""
    best = tables.best_systems(scores, n)
    own = tables.of_systems(scores, best)
    macro, micro = (
        tables.select(own, "MAP", n, level=level).set_index("model").loc[best["model"]]
        for level in ("macro", "micro")
    )
    for model, marker in zip(best["model"], MARKERS, strict=False):
        x, y, spec = macro.loc[model], micro.loc[model], models.spec(model)
        ax.errorbar(
            x["value"],
            y["value"],
            xerr=[[x["value"] - x["ci_low"]], [x["ci_high"] - x["value"]]],
            yerr=[[y["value"] - y["ci_low"]], [y["ci_high"] - y["value"]]],
            marker=marker,
            markersize=5,
            elinewidth=0.6,
            color=spec.colour,
            label=spec.display_name,
            linestyle="",
        )
    end = 1.05 * max(macro["ci_high"].max(), micro["ci_high"].max())
    ax.plot([0, end], [0, end], color="#999999", linewidth=0.7, linestyle="--")
    ax.set(xlim=(0, end), ylim=(0, end), aspect="equal")
    ax.set(xlabel=f"macro MAP@{n}, higher is better", ylabel=f"micro MAP@{n}, higher is better")
    ax.legend(frameon=False, fontsize=7)
    return ax


def cost(scores: pd.DataFrame, ax: Axes, *, n: int = 15, by: str = "dim") -> Axes:
    """Macro MAP@n of every system against what it costs, and the front that no system beats on both.

    Parameters
    ----------
    by : str
        "dim" for the dimension of a clip's embedding, with bytes above; "parameters" for the network's.
    """
    if by not in ("dim", "parameters"):
        raise ValueError(f"by={by!r} is unknown: use dim or parameters")
    found = tables.select(scores, "MAP", n)
    specs = {name: models.spec(name) for name in found["model"].unique()}
    if by == "dim":
        price = found["n_components"].fillna(found["model"].map(lambda name: specs[name].dim)).astype(float)
    else:
        price = found["model"].map(lambda name: number(specs[name].n_parameters))
    points = found.assign(price=price).sort_values(["price", "value"], ascending=[True, False], kind="stable")
    for (name, spec), marker in zip(specs.items(), MARKERS, strict=False):
        own = points[points["model"] == name]
        ax.scatter(own["price"], own["value"], 14, spec.colour, marker, label=spec.display_name, linewidths=0)
    front = points[points["value"] > points["value"].cummax().shift(fill_value=-1)]
    ax.step(front["price"], front["value"], where="post", color="#555555", linewidth=0.8, label="front")
    if by == "dim":
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
        above = ax.secondary_xaxis("top", functions=(lambda dim: 4 * dim, lambda size: size / 4))
        above.set_xlabel("bytes a clip (float32)")
        above.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
        ax.set_xlabel("dimensions of an embedding")
    else:
        ax.set_xscale("symlog", linthresh=1)
        ax.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
        ax.set_xlabel("parameters of the network, in millions")
    ax.set(ylabel=f"macro MAP@{n}, higher is better", ylim=(0, None))
    ax.grid(linewidth=0.4, alpha=0.5)
    return ax


def number(text: str) -> float:
    """Millions of parameters from a word of the catalogue.

    Examples
    --------
    >>> number("4.7M"), number("0"), number("1.2B")
    (4.7, 0.0, 1200.0)
    """
    scale = {"K": 1e-3, "M": 1.0, "B": 1e3}
    if not text or text == "-":
        return 0.0
    return float(text[:-1]) * scale[text[-1]] if text[-1] in scale else float(text) / 1e6
