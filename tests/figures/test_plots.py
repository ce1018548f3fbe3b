import itertools

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("agg")

import matplotlib.pyplot as plt

from sss_lib import experiment, models, plots, tables
from sss_lib.models.catalogue import CATALOGUE


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    levels = [("class", "Bark"), ("class", "Meow"), ("family", "Animal"), ("macro", "all"), ("micro", "all")]
    systems = itertools.product(("aisfx", "duration"), (None, 100), (True, False), ("nns", "mips", "mcss"))
    rows = [
        {
            "model": m,
            "aggregation": "mean" if m == "aisfx" else "none",
            "n_components": c,
            "normalize": l2,
            "pre_normalize": False,
            "scale": False,
            "search": s,
            "protocol": "standard",
            "relevance": "class",
            "metric": "MAP",
            "n": 15,
            "level": level,
            "name": name,
            "value": (v := rng.random()),
            "ci_low": v - 0.1,
            "ci_high": v + 0.1,
            "n_queries": 2,
        }
        for (m, c, l2, s), (level, name) in itertools.product(systems, levels)
    ]
    return pd.DataFrame(rows).astype({"n": "Int64", "n_components": "Int64"})


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_the_processing_grid_has_a_bar_for_every_system(scores, ax):
    assert plots.processing_grid(scores, "aisfx", ax) is ax
    own = scores[(scores["model"] == "aisfx") & (scores["level"] == "macro")]
    heights = sorted(patch.get_height() for patch in ax.patches)
    np.testing.assert_allclose(heights, sorted(own["value"]))
    assert "MAP@15" in ax.get_ylabel()


def test_the_processing_grid_puts_a_bar_over_its_own_label(scores, ax):
    plots.processing_grid(scores, "aisfx", ax)
    row = scores[
        (scores["model"] == "aisfx")
        & (scores["level"] == "macro")
        & (scores["search"] == "mcss")
        & (scores["n_components"] == 100)
        & ~scores["normalize"]
    ]
    (bar,) = [p for p in ax.patches if p.get_height() == row["value"].item()]
    middle = bar.get_x() + bar.get_width() / 2
    assert nearest(middle, ax.get_xticklabels()) == "mean"
    assert nearest(middle, ax.get_xticklabels(minor=True)) == "PCA 100\nraw"


def nearest(x, labels):
    """Text of the label whose tick is nearest."""
    return min(labels, key=lambda label: abs(label.get_position()[0] - x)).get_text()


def test_an_unknown_model_is_named(scores, ax):
    with pytest.raises(ValueError, match="no scores of model 'logmel'; there are aisfx, duration"):
        plots.processing_grid(scores, "logmel", ax)


def test_the_heatmap_shows_each_best_system(scores, ax):
    plots.family_heatmap(plots.families_of_best(scores), ax)
    macro = scores[scores["level"] == "macro"]
    shown = {text.get_text() for text in ax.texts}
    for _, own in macro.groupby("model"):
        system = own.loc[own["value"].idxmax()]
        same = (scores[["model", "search", "normalize"]] == system[["model", "search", "normalize"]]).all(
            axis=1
        )
        same &= scores["n_components"].fillna(0) == (
            0 if pd.isna(system["n_components"]) else system["n_components"]
        )
        family = scores[same & (scores["level"] == "family")]
        assert f"{family['value'].item():.2f}" in shown


def best_value(scores, model, level, name):
    """Value of a model's system with the highest macro score, at one level and name."""
    own = scores[scores["model"] == model].astype({"n_components": "float"}).fillna({"n_components": 0})
    best = own[own["level"] == "macro"].sort_values("value").iloc[-1]
    keys = ["n_components", "normalize", "search"]
    same = (own[keys] == best[keys]).all(axis=1) & (own["level"] == level) & (own["name"] == name)
    return own.loc[same, "value"].item()


def test_class_bars_show_each_models_own_scores(scores, ax):
    plots.class_bars(scores, ax)
    second, first = ax.get_legend_handles_labels()[1]
    model = {"aiSFX": "aisfx", "Duration and level": "duration"}
    assert best_value(scores, model[first], "macro", "all") > best_value(
        scores, model[second], "macro", "all"
    )
    names = [label.get_text() for label in ax.get_yticklabels()]
    (markers,) = ax.lines
    for i, name in enumerate(("Bark", "Meow")):
        row = names.index(f"{name} (2)")
        assert ax.patches[row].get_width() == pytest.approx(
            best_value(scores, model[first], "class", name)
        ), i
        assert markers.get_xdata()[row] == pytest.approx(best_value(scores, model[second], "class", name))


def test_the_ladder_goes_down_from_the_best_to_chance(scores, ax):
    chance = scores[scores["level"] == "macro"].iloc[[0]].assign(value=0.01)
    plots.ladder(scores, chance, ax)
    shown = dict(
        zip([t.get_text() for t in ax.get_yticklabels()], [p.get_width() for p in ax.patches], strict=True)
    )
    assert shown["aiSFX"] == pytest.approx(best_value(scores, "aisfx", "macro", "all"))
    assert shown["Duration and level"] == pytest.approx(best_value(scores, "duration", "macro", "all"))
    assert shown["Chance"] == 0.01
    assert list(shown)[-1] == "Chance"
    assert ax.patches[0].get_y() > ax.patches[-1].get_y()


def test_a_label_with_a_dollar_sign_is_drawn_as_it_is(scores, ax):
    plots.class_bars(scores.replace({"name": {"Bark": r"$\frac$"}}), ax)
    ax.figure.canvas.draw()


def test_a_figure_has_the_same_bytes_each_time(scores, tmp_path):
    plots.use_style()
    written = []
    for folder in ("a", "b"):
        figure, ax = plt.subplots()
        plots.class_bars(scores, ax)
        written.append([path.read_bytes() for path in plots.save(figure, tmp_path / folder, "classes")])
        plt.close(figure)
    assert written[0] == written[1]


def best(scores, model, level, name=None):
    """Value of a model's best system."""
    found = tables.select(tables.of_systems(scores, tables.best_systems(scores)), "MAP", 15, level=level)
    found = found[(found["model"] == model) & (found["name"] == (name or "all"))]
    (value,) = found["value"]
    return value


def points(ax):
    """Points of every error bar by the name in its legend."""
    return {c.get_label(): list(zip(*c[0].get_data(), strict=True)) for c in ax.containers}


def test_pca_curves_end_at_the_models_own_dimension_and_keep_the_rest_of_the_best_system(scores, ax):
    plots.pca_curves(scores, ax)
    (at_100, without), dim = points(ax)["aiSFX"], models.spec("aisfx").dim
    assert (at_100[0], without[0]) == (100, dim)
    chosen = tables.best_systems(scores).set_index("model").loc["aisfx"]
    assert dict([at_100, without])[dim if chosen["n_components"] is pd.NA else 100] == best(
        scores, "aisfx", "macro"
    )


def test_macro_and_micro_of_each_best_system_are_one_point(scores, ax):
    plots.macro_against_micro(scores, ax)
    assert points(ax)["aiSFX"] == [(best(scores, "aisfx", "macro"), best(scores, "aisfx", "micro"))]


def test_family_dots_have_each_models_value(scores, ax):
    plots.family_dots(scores, ax)
    ((value, _),) = points(ax)["aiSFX"]
    assert value == best(scores, "aisfx", "family", "Animal")


def test_class_differences_are_one_model_minus_the_other(scores, ax):
    plots.class_differences(scores, "aisfx", "duration", ax)
    bars = dict(zip([t.get_text() for t in ax.get_yticklabels()], ax.patches, strict=True))
    for name, bar in bars.items():
        expected = best(scores, "aisfx", "class", name) - best(scores, "duration", "class", name)
        assert bar.get_width() == pytest.approx(expected)


@pytest.mark.parametrize(("by", "prices"), [("dim", {100, 512, 2}), ("parameters", {4.7, 0})])
def test_the_front_has_only_systems_that_none_beats_at_its_price(scores, ax, by, prices):
    plots.cost(scores, ax, by=by)
    systems = [line for line in ax.lines if line.get_label() != "front"]
    found = np.concatenate([np.column_stack(line.get_data()) for line in systems])
    assert set(found[:, 0]) == prices
    front = np.column_stack(next(line for line in ax.lines if line.get_label() == "front").get_data())
    expected = [p for p in found if not any((o[0] <= p[0]) & (o[1] > p[1]) for o in found)]
    assert {tuple(p) for p in front} == {tuple(p) for p in expected}


def test_a_price_of_another_kind_is_refused(scores, ax):
    with pytest.raises(ValueError, match="by='weight' is unknown"):
        plots.cost(scores, ax, by="weight")


def test_the_map_has_every_clip_in_the_colour_of_its_group(ax):
    at = np.arange(10.0).reshape(5, 2)
    plots.embedding_map(at, ["b", "", "a", "b", ""], ax)
    drawn = {c.get_label(): c.get_offsets().tolist() for c in ax.collections}
    assert drawn == {"no family": at[[1, 4]].tolist(), "a": [[4, 5]], "b": [[0, 1], [6, 7]]}


def test_the_confusion_shows_the_table(ax):
    table = pd.DataFrame([[0.5, 0.1], [0.2, 0.9]], index=["Bark", "Meow_x"], columns=["Bark", "Meow_x"])
    plots.confusion_heatmap(table, ax)
    assert ax.images[0].get_array().tolist() == table.to_numpy().tolist()
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Bark  1", "Meow x  2"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "2"]


LABELS = ["Bark", "Meow", "Rain"]


def tidy(systems, protocol="standard", labels=LABELS):
    """Made-up scores of variants and searches, in which two of a model's systems are never alike."""
    rng = np.random.default_rng(0)
    levels = [("macro", "all"), ("micro", "all"), ("family", "Animal"), *(("class", name) for name in labels)]
    told = {"protocol": protocol, "relevance": "class", "metric": "MAP", "n": 15, "n_queries": 2}
    rows = [
        {**variant.parameters(), "search": search, **told, "level": level, "name": name, "value": value}
        for variant, search in systems
        for (level, name), value in zip(levels, rng.random(len(levels)), strict=True)
    ]
    found = pd.DataFrame(rows).astype({"n": "Int64", "n_components": "Int64"})
    return found.assign(ci_low=found["value"] - 0.02, ci_high=found["value"] + 0.02)


GRIDS = sorted((experiment.NOTEBOOKS / "grids").glob("*.yaml"))


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
class TestEveryGrid:
    @pytest.fixture
    def of_grid(self, path):
        grid = experiment.read_grid(path).available()[0]
        return tables.of_exact(tidy(grid.systems()[0], grid.protocol))

    def names(self, scores):
        return {one["label"] for one in plots.looks(scores["model"]).values()}

    def test_every_system_has_one_bar_in_one_panel_and_none_lies_on_another(self, of_grid):
        heights = []
        for panel in plots.processing_panels(of_grid):
            figure = mpl.figure.Figure()
            ax = plots.processing_grid(of_grid, ax=figure.subplots(), **panel)
            edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches)
            assert all(right <= left + 1e-9 for (_, right), (left, _) in itertools.pairwise(edges))
            assert len(ax.get_xticks()) <= 30
            heights += [bar.get_height() for bar in ax.patches]
        assert sorted(heights) == sorted(of_grid.loc[of_grid["level"] == "macro", "value"])

    @pytest.mark.parametrize("kind", ["pca_curves", "macro_against_micro", "cost"])
    def test_every_model_is_in_the_figure_with_its_own_look(self, of_grid, kind):
        figure = mpl.figure.Figure()
        ax = getattr(plots, kind)(of_grid, figure.subplots())
        handles = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
        handles.pop("front", None)
        assert set(handles) == self.names(of_grid)
        lines = [getattr(handle, "lines", [handle])[0] for handle in handles.values()]
        looks = {(line.get_color(), line.get_marker(), line.get_fillstyle()) for line in lines}
        assert len(looks) == len(handles)

    def test_the_legend_lies_within_the_figure_and_the_figure_on_a_page(self, of_grid):
        figure = mpl.figure.Figure(figsize=(plots.PAGE, 3))
        ax = plots.macro_against_micro(of_grid, figure.subplots())
        plots.legend(figure)
        figure.draw_without_rendering()
        (legend,), frame = figure.legends, figure.bbox
        box = legend.get_window_extent()
        assert {text.get_text() for text in legend.get_texts()} == self.names(of_grid)
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1
        assert frame.y0 <= box.y0 <= box.y1 < ax.get_window_extent().y0
        assert figure.get_figheight() < 9

    def test_the_other_figures_are_drawn(self, of_grid):
        figure = mpl.figure.Figure()
        axes = iter(figure.subplots(1, 5))
        best = list(plots.best_scores(of_grid)["model"])
        plots.ladder(of_grid, of_grid[of_grid["level"] == "macro"].iloc[[0]], next(axes))
        plots.family_heatmap(plots.families_of_best(of_grid), next(axes))
        bars = plots.class_bars(of_grid, next(axes))
        dots = plots.family_dots(of_grid, next(axes))
        plots.class_differences(of_grid, best[0], best[-1], next(axes))
        shown = {plots.looks(best)[model]["label"] for model in best[:10]}
        assert set(bars.get_legend_handles_labels()[1]) == shown
        assert set(dots.get_legend_handles_labels()[1]) == shown


def test_a_model_looks_the_same_whatever_its_place():
    names = list(models.catalogue())
    assert plots.looks(names) == plots.looks(names[::-1])
    looks = {(one["color"], one["marker"], one["fillstyle"]) for one in plots.looks(names).values()}
    assert len(looks) == len(names)


MANY = [f"class {i}" for i in range(70)]


def test_of_many_classes_those_are_shown_that_differ_most(ax):
    systems = [(experiment.Variant(model, "mean"), "nns") for model in ("aisfx", "msd-musicnn")]
    scores = tidy(systems, labels=MANY)
    table = plots.classes_of_best(scores)
    assert len(table) == 70
    gap = (table["aiSFX"] - table["MSD-MusiCNN"]).abs().sort_values()
    plots.class_bars(scores, ax)
    assert {label.get_text() for label in ax.get_yticklabels()} == {f"{name} (2)" for name in gap.index[10:]}
    assert ax.get_title(loc="left") == "The 60 of 70 classes that differ most (clips)"
    ax.clear()
    plots.class_differences(scores, "aisfx", "msd-musicnn", ax)
    assert {label.get_text() for label in ax.get_yticklabels()} == set(gap.index[10:])


def test_a_model_without_scores_is_left_out_and_the_rest_drawn(scores):
    scores.loc[scores["model"] == "duration", ["value", "ci_low", "ci_high"]] = np.nan
    scores.loc[scores["name"] == "Meow", ["value", "ci_low", "ci_high"]] = np.nan
    figure = mpl.figure.Figure()
    axes = figure.subplots(2, 4).flat
    chance = scores[scores["level"] == "macro"].iloc[[0]].assign(value=0.01)
    ladder = plots.ladder(scores, chance, next(axes))
    assert [t.get_text() for t in ladder.get_yticklabels()] == ["aiSFX", "Chance"]
    assert list(plots.families_of_best(scores).index) == ["aiSFX"]
    bars = plots.class_bars(scores, next(axes))
    assert [t.get_text() for t in bars.get_yticklabels()] == ["Bark (2)"]
    assert [panel["model"] for panel in plots.processing_panels(scores)] == ["aisfx"]
    plots.processing_grid(scores, "aisfx", next(axes))
    plots.class_differences(scores, "aisfx", "duration", next(axes))
    for draw in (plots.pca_curves, plots.macro_against_micro, plots.cost, plots.family_dots):
        draw(scores, next(axes))
    figure.draw_without_rendering()


def test_intervals_that_are_unknown_are_left_out(scores):
    scores[["ci_low", "ci_high"]] = np.nan
    figure = mpl.figure.Figure()
    axes = figure.subplots(2, 3).flat
    for draw in (plots.pca_curves, plots.macro_against_micro, plots.cost, plots.family_dots):
        draw(scores, next(axes))
    ladder = plots.ladder(scores, scores[scores["level"] == "macro"].iloc[[0]], next(axes))
    assert all(np.isfinite(text.get_position()[0]) for text in ladder.texts)
    figure.draw_without_rendering()


@pytest.fixture
def oddly_named():
    """A model whose displayed name looks like mathematics, and is wider than a column."""
    models.register("odd", len, rate_hz=8, dim=8, display_name=r"_100$ & $\frac{$ " + 6 * "and so on ")
    yield "odd"
    del CATALOGUE["odd"]


def test_a_models_odd_name_is_drawn_as_it_is(oddly_named):
    scores = tidy([(experiment.Variant(name), "nns") for name in (oddly_named, "logmel")])
    chance = scores[scores["level"] == "macro"].iloc[[0]]
    for draw in (
        plots.pca_curves,
        plots.macro_against_micro,
        plots.cost,
        plots.class_bars,
        plots.family_dots,
        lambda scores, ax: plots.ladder(scores, chance, ax),
        lambda scores, ax: plots.processing_grid(scores, oddly_named, ax),
        lambda scores, ax: plots.class_differences(scores, oddly_named, "logmel", ax),
        lambda scores, ax: plots.family_heatmap(plots.families_of_best(scores), ax),
    ):
        figure = mpl.figure.Figure(figsize=(plots.PAGE, 4))
        draw(scores, figure.subplots())
        plots.legend(figure)
        figure.draw_without_rendering()
        assert all(legend.get_window_extent().width <= figure.bbox.width for legend in figure.legends)


def test_a_grid_of_approximate_searches_alone_has_its_bars(ax):
    searches = ("nns-SQfp16", "nns-HNSW8-efSearch=32")
    scores = tidy([(experiment.Variant("aisfx"), search) for search in searches])
    plots.processing_grid(scores, "aisfx", ax)
    assert ax.get_legend_handles_labels()[1] == list(searches)


def test_all_panels_of_the_same_scores_have_the_same_range(scores):
    figure = mpl.figure.Figure()
    axes = figure.subplots(2)
    for model, ax in zip(("aisfx", "duration"), axes, strict=True):
        plots.processing_grid(scores, model, ax)
    assert axes[0].get_ylim() == axes[1].get_ylim()


def test_every_group_of_the_map_is_drawn_however_many_there_are(ax):
    groups = [f"group {i:03}" for i in range(100)]
    plots.embedding_map(np.zeros((100, 2)), groups, ax)
    assert ax.get_legend_handles_labels()[1] == ["no family", *groups]


def test_the_models_of_a_class_difference_must_have_scores(scores, ax):
    with pytest.raises(ValueError, match="no scores of model 'logmel'"):
        plots.class_differences(scores, "aisfx", "logmel", ax)
