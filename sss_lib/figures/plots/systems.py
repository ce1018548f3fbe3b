"""Figures that compare systems by one score each."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from sss_lib.experiment.scores import SYSTEM, best_systems, distinct, of_systems, select
from sss_lib.figures.plots.style import looks, plain, wrapped
from sss_lib.figures.tables import CHANCE, dims, display_names
from sss_lib.models import registry as models

GREY = {"elinewidth": 1, "ecolor": "#555555"}
THIN = {"markersize": 4, "markeredgewidth": 0.7, "elinewidth": 0.6}


def best_scores(scores: pd.DataFrame, n: int = 15, *, level: str = "macro") -> pd.DataFrame:
    """MAP@n of each model's best system at one level, best model first.

    A model without a finite score is left out: all of its clips failed, or no query has a relevant clip.
    """
    best = best_systems(scores, n)
    found = of_systems(select(scores, "MAP", n, level=level), best)
    found = found[np.isfinite(found["value"])]
    place = found["model"].map({model: i for i, model in enumerate(best["model"])})
    return found.iloc[np.argsort(place, kind="stable")]


def require_model(scores: pd.DataFrame, model: str) -> None:
    """Raise ValueError, which names the available models, if a model has no scores."""
    available = sorted(set(scores["model"]))
    if model not in available:
        raise ValueError(f"no scores of model {model!r}; there are {', '.join(available)}")


def whiskers(rows: pd.DataFrame) -> np.ndarray:
    """Lengths of the 95 % intervals below and above the values [shape=(2, n_rows)]."""
    return np.clip([rows["value"] - rows["ci_low"], rows["ci_high"] - rows["value"]], 0, None)


def interval_words(rows: pd.DataFrame) -> str:
    """What the whiskers of scores are, for an axis.

    Examples
    --------
    >>> interval_words(pd.DataFrame({"clip_ci_low": [0.1]})), interval_words(pd.DataFrame({"ci_low": [0.1]}))
    ('95 % interval over uploaders', '95 % interval over clips')
    """
    return f"95 % interval over {'uploaders' if 'clip_ci_low' in rows else 'clips'}"


def ladder(scores: pd.DataFrame, chance: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """Macro MAP@n of each model's best system with its 95 % interval, down to chance.

    After `scores.over_groups` the thin interval is over uploaders, the thick one over clips. A white line
    marks the mean over different classes, where it is another.
    """
    rows, names = best_scores(scores, n), display_names(scores)
    (by_chance,) = select(chance, "MAP", n)["value"]
    position = np.arange(len(rows), -1, -1)
    colours = [models.spec(model).colour for model in rows["model"]]
    ax.barh(position[:-1], rows["value"], 0.8, color=colours)
    ax.barh(0, by_chance, 0.8, color="#DDDDDD")
    below = position[:-1] - 0.22  # the number is above the interval
    drawn = [(rows, 1.0)]
    if "clip_ci_low" in rows:
        drawn.append((rows.assign(ci_low=rows["clip_ci_low"], ci_high=rows["clip_ci_high"]), 3.0))
    for ends, width in drawn:
        error = {"xerr": whiskers(ends), "elinewidth": width, "ecolor": "#333333", "linestyle": ""}
        ax.errorbar(rows["value"], below, **error)
    over = distinct(scores, "macro")
    other = best_scores(scores, n, level=over).set_index("model")["value"].reindex(rows["model"])
    unlike = (other.to_numpy() - rows["value"]).abs().to_numpy() > 5e-4
    white = {"colors": "white", "linewidth": 1.6, "label": "over different classes"}
    ax.vlines(other[unlike], position[:-1][unlike] - 0.4, position[:-1][unlike] + 0.4, **white)
    for y, value in zip(position, [*rows["value"], by_chance], strict=True):
        ax.text(value, y + 0.12, f" {value:.2f}", va="center", size="small")
    ax.set_yticks(position, [*(wrapped(names[model]) for model in rows["model"]), CHANCE])
    ax.tick_params(axis="y", length=0)
    ends = rows[["value", "ci_high"]].max(axis=1)
    ax.set(xlim=(0, 1.08 * max(*ends, by_chance)), ylim=(-0.6, len(rows) + 0.6))
    thick = "; thick: over clips" if "clip_ci_low" in rows else ""
    white_line = "; white line: different classes" if unlike.any() else ""
    about = f"{interval_words(rows)}{thick}{white_line}"
    ax.set_xlabel(f"macro MAP@{n}, higher is better\n({about})")
    ax.grid(axis="x", linewidth=0.4, alpha=0.5)
    return ax


def pca_curves(scores: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """Macro MAP@n of each model against the number of PCA components, otherwise as in its best system.

    The last point of a line, at the model's own dimension, is centred: as PCA to all dimensions, which only
    turns what is centred. Embeddings as they are have a hollow point beside it, outside the line.
    """
    found = select(scores, "MAP", n)
    same = [name for name in SYSTEM if name not in ("n_components", "transform")]
    best = best_systems(scores, n)
    own, look = found.merge(best, on=same, suffixes=("", " of best")), looks(display_names(scores))
    own = own.assign(dim=dims(own)).sort_values("dim")
    plain = own["transform of best"].isin(["none", "center"])
    uncentred = plain & own["transform"].eq("none") & own["n_components"].isna()
    alike = own["transform"].eq(own["transform of best"]) | (
        plain & own["transform"].isin(["none", "center"])
    )
    for model in best["model"]:
        line, as_it_is = (own[which & own["model"].eq(model)] for which in (alike & ~uncentred, uncentred))
        if len(line):
            ax.errorbar(line["dim"], line["value"], yerr=whiskers(line), **THIN, linewidth=1, **look[model])
        hollow = look[model] | {"label": "_" if len(line) else look[model]["label"], "linestyle": ""}
        ax.plot(as_it_is["dim"], as_it_is["value"], markersize=4, markerfacecolor="white", **hollow)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
    ax.set(xlabel="dimensions (last: centred alone, hollow: raw)")
    ax.set(ylabel=f"macro MAP@{n}, higher is better", ylim=(0, None))
    ax.grid(linewidth=0.4, alpha=0.5)
    return ax


def macro_against_micro(scores: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """Macro against micro MAP@n of each model's best system; above the line large classes score higher."""
    macro, micro = (best_scores(scores, n, level=level).set_index("model") for level in ("macro", "micro"))
    look = looks(display_names(scores))
    for model in macro.index.intersection(micro.index, sort=False):
        x, y = macro.loc[[model]], micro.loc[[model]]
        errors = {"xerr": whiskers(x), "yerr": whiskers(y)}
        ax.errorbar(x["value"], y["value"], **errors, **THIN, linestyle="", **look[model])
    ends = pd.concat([macro, micro])[["value", "ci_low", "ci_high"]]
    low, high = 0.9 * np.nanmin(ends), 1.05 * np.nanmax(ends)
    ax.plot([low, high], [low, high], color="#999999", linewidth=0.7, linestyle="--")
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    ax.set(xlabel=f"macro MAP@{n}, higher is better", ylabel=f"micro MAP@{n}, higher is better")
    ax.grid(linewidth=0.4, alpha=0.5)
    return ax


def cost(scores: pd.DataFrame, ax: Axes, *, n: int = 15, by: str = "dim") -> Axes:
    """Macro MAP@n of every system against its cost, and the Pareto front of the two.

    Parameters
    ----------
    by : str
        "dim": dimensions of a clip's embedding, with bytes on a second axis; "parameters": of the network.
    """
    if by not in ("dim", "parameters"):
        raise ValueError(f"by={by!r} is unknown: use dim or parameters")
    found = select(scores, "MAP", n)
    specs = {name: models.spec(name) for name in found["model"].unique()}
    if by == "dim":
        price = dims(found)
    else:
        price = found["model"].map(lambda name: millions(specs[name].n_parameters))
    points = found.assign(price=price).sort_values(["price", "value"], ascending=[True, False], kind="stable")
    for name, look in looks(display_names(scores)).items():
        own = points[points["model"] == name]
        ax.plot(own["price"], own["value"], linestyle="", markersize=4, markeredgewidth=0.7, **look)
    # Sorted by cost, a system is on the front if it scores higher than every cheaper one.
    front = points[points["value"] > points["value"].cummax().shift(fill_value=-1)]
    ax.step(front["price"], front["value"], where="post", color="#999999", lw=0.8, label="front", zorder=1)
    if by == "dim":
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
        above = ax.secondary_xaxis("top", functions=(lambda dim: 4 * dim, lambda size: size / 4))
        above.set_xlabel("bytes a clip (float32)")
        above.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
        ax.set_xlabel("dimensions of an embedding")
    else:
        ax.set_xscale("symlog", linthresh=1)
        ax.xaxis.set_major_locator(mpl.ticker.SymmetricalLogLocator(base=10, linthresh=1, subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
        ax.set_xlabel("parameters of the network, in millions")
    ax.set(ylabel=f"macro MAP@{n}, higher is better", ylim=(0, None))
    ax.grid(linewidth=0.4, alpha=0.5)
    return ax


def millions(text: str) -> float:
    """Millions of parameters from the text in the catalogue.

    Examples
    --------
    >>> millions("4.7M"), millions("0"), millions("1.2B")
    (4.7, 0.0, 1200.0)
    """
    scale = {"K": 1e-3, "M": 1.0, "B": 1e3}
    if not text or text == "-":
        return 0.0
    return float(text[:-1]) * scale[text[-1]] if text[-1] in scale else float(text) / 1e6


def between_bounds(scores: pd.DataFrame, ax: Axes, *, n: int = 15) -> Axes:
    """Macro MAP@n of each search of a variant with its 95 % interval, between chance and upper bound.

    After `scores.over_groups` the thin interval is over uploaders, the thick one over clips.

    Parameters
    ----------
    scores : pd.DataFrame
        Tidy scores of the searches, with their bounds.
    ax : Axes
    n : int
    """
    rows = select(scores, "MAP", n).iloc[::-1]
    position, look = np.arange(len(rows)), {"color": "#0072B2", "linestyle": "", "marker": "o"}
    ends = rows[["chance", "ceiling"]].to_numpy().T
    ax.hlines(position, *ends, color="#DDDDDD", linewidth=6)
    for x, name in zip(ends, ("chance", "upper bound"), strict=True):
        ax.plot(x, position, marker="|", markersize=14, color="#555555", linestyle="")
        side = "left" if name == "chance" else "right"
        ax.text(x[0], -0.55, name, size=8, ha=side, color="#555555")  # numbers are above
    ax.errorbar(rows["value"], position, xerr=whiskers(rows), elinewidth=1, **look)
    about = interval_words(rows)
    if "clip_ci_low" in rows:
        over_clips = rows.assign(ci_low=rows["clip_ci_low"], ci_high=rows["clip_ci_high"])
        ax.errorbar(rows["value"], position, xerr=whiskers(over_clips), elinewidth=3, **look)
        about += "; thick: over clips"
    for y, value in zip(position, rows["value"], strict=True):
        ax.annotate(f"{value:.3f}", (value, y), (0, 8), textcoords="offset points", ha="center", size=8)
    ax.set_yticks(position, [plain(search) for search in rows["search"]])
    ax.set(xlim=(0, 1.02), ylim=(-0.8, len(rows) - 0.3))
    ax.set_xlabel(f"macro MAP@{n}, higher is better\n({about})")
    return ax


def slopes(table: pd.DataFrame, ax: Axes, *, n: int = 15, rules: tuple[str, str] = ("a", "b")) -> Axes:
    """Loss of MAP@n from one rule to another: a line for macro, and a thin one for each class.

    The class that loses most is black.

    Parameters
    ----------
    table : pd.DataFrame
        From `comparisons.compare`, of one system by both rules.
    ax : Axes
    n : int
    rules : tuple of str
        Names of the two.
    """
    found = table[(table["metric"] == "MAP") & (table["n"] == n).fillna(False)]
    classes, macro = (found[found["level"] == level] for level in ("class", "macro"))
    ax.plot([0, 1], classes[["a", "b"]].T, color="#999999", linewidth=0.6, alpha=0.7)
    ax.plot([], [], color="#999999", linewidth=0.6, label=f"{len(classes)} classes")
    for row in classes.sort_values("difference", ascending=False)[:1].to_dict("records"):
        ax.plot([0, 1], [row["a"], row["b"]], color="black", linewidth=1.2, label=plain(row["name"]))
    ax.plot([0, 1], macro[["a", "b"]].T, color="#D55E00", marker="o", linewidth=2.5, label="macro")
    for x, (name, side) in enumerate((("a", "right"), ("b", "left"))):
        for value in macro[name]:
            place = {"textcoords": "offset points", "ha": side, "va": "center"}
            ax.annotate(f"{value:.3f}", (x, value), (-7 if side == "right" else 7, 0), **place)
    ax.set_xticks([0, 1], [wrapped(rule) for rule in rules])
    ax.set(xlim=(-0.35, 1.35), ylim=(-0.02, 1.02), ylabel=f"MAP@{n}, higher is better")
    ax.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return ax
