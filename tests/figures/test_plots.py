"""Figures show the values of their tables, for every grid and whatever names and gaps the scores have."""

import functools
import itertools
import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("agg")

from sss_lib import experiment, models, plots, tables
from sss_lib.models.catalogue import CATALOGUE

LABELS = ["Bark", "Meow", "Rain"]
DRAWN = {
    "ladder": lambda scores, ax: plots.ladder(scores, chance_of(scores), ax),
    "processing grid": lambda scores, ax: plots.processing_grid(scores, best_models(scores)[0], ax),
    "family heatmap": lambda scores, ax: plots.family_heatmap(plots.families_of_best(scores), ax),
    "class differences": lambda scores, ax: plots.class_differences(
        scores, best_models(scores)[0], sorted(set(scores["model"]))[0], ax
    ),
    **{
        kind: getattr(plots, kind)
        for kind in ("class_bars", "family_dots", "pca_curves", "macro_against_micro", "cost")
    },
}


def tidy(systems, protocol="standard", labels=LABELS):
    """Made-up scores of variants and searches, in which two of a model's systems are never alike."""
    rng = np.random.default_rng(0)
    levels = [("macro", "all"), ("micro", "all"), ("family", "Animal"), *(("class", name) for name in labels)]
    about = {"protocol": protocol, "relevance": "class", "metric": "MAP", "n": 15, "n_queries": 2}
    rows = [
        {**variant.parameters(), "search": search, **about, "level": level, "name": name, "value": value}
        for variant, search in systems
        for (level, name), value in zip(levels, rng.random(len(levels)), strict=True)
    ]
    found = pd.DataFrame(rows).astype({"n": "Int64", "n_components": "Int64"})
    return found.assign(ci_low=found["value"] - 0.02, ci_high=found["value"] + 0.02)


def chance_of(scores):
    return scores[scores["level"] == "macro"].iloc[[0]].assign(value=0.01)


def best_models(scores):
    return tables.best_systems(scores)["model"].tolist()


def best(scores, model, level, name="all"):
    """Value of a model's system with the highest macro score, at one level and name."""
    own = scores[scores["model"] == model]
    top = own.loc[own["value"].where(own["level"] == "macro").idxmax()]
    same = own["search"].eq(top["search"]) & own["normalize"].eq(top["normalize"])
    same &= own["n_components"].fillna(0).eq(0 if pd.isna(top["n_components"]) else top["n_components"])
    return own[same & (own["level"] == level) & (own["name"] == name)]["value"].item()


def names_of(labels):
    return [label.get_text() for label in labels]


def points(ax):
    """Points of every error bar by the name in its legend."""
    return {c.get_label(): list(zip(*c[0].get_data(), strict=True)) for c in ax.containers}


@pytest.fixture
def scores():
    ways = itertools.product((None, 100), (True, False), ("nns", "mips", "mcss"))
    how = {"aisfx": "mean", "duration": "none"}
    return tidy(
        (experiment.Variant(model, how[model], n_components, normalize), search)
        for model, (n_components, normalize, search) in itertools.product(how, list(ways))
    )


@pytest.fixture
def ax():
    return mpl.figure.Figure().subplots()


def test_the_processing_grid_has_a_bar_for_every_system_over_its_own_label(scores, ax):
    assert plots.processing_grid(scores, "aisfx", ax) is ax
    own = scores[(scores["model"] == "aisfx") & (scores["level"] == "macro")]
    assert sorted(bar.get_height() for bar in ax.patches) == sorted(own["value"])
    raw = own[(own["search"] == "mcss") & (own["n_components"] == 100) & ~own["normalize"]]
    (bar,) = [bar for bar in ax.patches if bar.get_height() == raw["value"].item()]

    def nearest(labels):
        middle = bar.get_x() + bar.get_width() / 2
        return min(labels, key=lambda label: abs(label.get_position()[0] - middle)).get_text()

    assert nearest(ax.get_xticklabels()) == "mean"
    assert nearest(ax.get_xticklabels(minor=True)) == "PCA 100\nraw"
    other = plots.processing_grid(scores, "duration", mpl.figure.Figure().subplots(), chance=0.1)
    assert other.get_ylim() == ax.get_ylim()  # all panels of the same scores have the same range
    assert other.lines[0].get_ydata() == [0.1, 0.1]


def test_a_grid_of_approximate_searches_alone_has_its_bars(ax):
    searches = ("nns-SQfp16", "nns-HNSW8-efSearch=32")
    plots.processing_grid(tidy([(experiment.Variant("aisfx"), one) for one in searches]), "aisfx", ax)
    assert sorted(ax.get_legend_handles_labels()[1]) == sorted(searches)


@pytest.mark.parametrize(
    "draw",
    [
        lambda scores, ax: plots.processing_grid(scores, "logmel", ax),
        lambda scores, ax: plots.class_differences(scores, "aisfx", "logmel", ax),
    ],
)
def test_a_model_without_scores_is_refused_by_name(scores, ax, draw):
    with pytest.raises(ValueError, match="no scores of model 'logmel'; there are aisfx, duration"):
        draw(scores, ax)


def test_figures_by_class_and_family_show_each_models_best_system(scores, ax):
    first, second = best_models(scores)
    plots.family_heatmap(plots.families_of_best(scores), ax)
    assert names_of(ax.texts) == [f"{best(scores, name, 'family', 'Animal'):.2f}" for name in (first, second)]
    ax.clear()
    plots.class_bars(scores, ax)
    rows, (markers,) = names_of(ax.get_yticklabels()), ax.lines
    for name in LABELS:
        row = rows.index(f"{name} (2)")
        assert ax.patches[row].get_width() == best(scores, first, "class", name)
        assert markers.get_xdata()[row] == best(scores, second, "class", name)
    ax.clear()
    plots.family_dots(scores, ax)
    assert points(ax)["aiSFX"][0][0] == best(scores, "aisfx", "family", "Animal")
    ax.clear()
    plots.class_differences(scores, "aisfx", "duration", ax)
    for name, bar in zip(names_of(ax.get_yticklabels()), ax.patches, strict=True):
        name = name.removesuffix(" (2)")
        expected = best(scores, "aisfx", "class", name) - best(scores, "duration", "class", name)
        assert bar.get_width() == pytest.approx(expected)


def test_the_ladder_goes_down_from_the_best_to_chance(scores, ax):
    plots.ladder(scores, chance_of(scores), ax)
    shown = dict(zip(names_of(ax.get_yticklabels()), ax.patches, strict=True))
    widths = {name: bar.get_width() for name, bar in shown.items()}
    expected = {tables.display_name(one): best(scores, one, "macro") for one in best_models(scores)}
    assert widths == pytest.approx(expected | {"Chance": 0.01})
    heights = [bar.get_y() for bar in shown.values()]
    assert list(shown)[-1] == "Chance"
    assert heights == sorted(heights, reverse=True)


@pytest.mark.parametrize("best_is", [("none", None), ("none", 50), ("center", None), ("whiten", 100)])
def test_a_curve_of_pca_ends_in_what_is_centred_and_leaves_out_what_is_as_it_is(ax, best_is):
    """Whichever is best; and what is whitened is a line of its own."""
    ways = [("none", None), ("none", 50), ("none", 100), ("center", None), ("whiten", 100), ("whiten", None)]
    systems = [(experiment.Variant("aisfx", "mean", n, transform=how), "nns") for how, n in ways]
    scores = tidy(systems)
    value = {way: 0.1 + i / 100 + (way == best_is) for i, way in enumerate(ways)}
    found = scores["transform"].where(scores["level"] == "macro"), scores["n_components"]
    scores["value"] = [value.get((how, None if pd.isna(n) else n), 0) for how, n in zip(*found, strict=True)]
    plots.pca_curves(scores, ax)
    dim = models.spec("aisfx").dim
    whitened = [(100, value["whiten", 100]), (dim, value["whiten", None])]
    centred = [(50, value["none", 50]), (100, value["none", 100]), (dim, value["center", None])]
    assert points(ax)["aiSFX"] == (whitened if best_is[0] == "whiten" else centred)
    hollow = [list(zip(*line.get_data(), strict=True)) for line in ax.lines if line.get_mfc() == "white"]
    assert hollow == [[] if best_is[0] == "whiten" else [(dim, value["none", None])]]


def test_macro_and_micro_of_each_best_system_are_one_point(scores, ax):
    plots.macro_against_micro(scores, ax)
    assert points(ax)["aiSFX"] == [(best(scores, "aisfx", "macro"), best(scores, "aisfx", "micro"))]


@pytest.mark.parametrize(("by", "prices"), [("dim", {100, 512, 2}), ("parameters", {4.7, 0})])
def test_the_front_has_only_systems_that_none_beats_at_its_price(scores, ax, by, prices):
    plots.cost(scores, ax, by=by)
    lines = {line.get_label(): np.column_stack(line.get_data()) for line in ax.lines}
    front = lines.pop("front")
    found = np.concatenate(list(lines.values()))
    assert set(found[:, 0]) == prices
    expected = [p for p in found if not any((o[0] <= p[0]) & (o[1] > p[1]) for o in found)]
    assert {tuple(p) for p in front} == {tuple(p) for p in expected}
    with pytest.raises(ValueError, match="by='weight' is unknown"):
        plots.cost(scores, ax, by="weight")


def test_the_map_has_every_clip_in_the_colour_of_its_group(ax):
    at = np.arange(10.0).reshape(5, 2)
    plots.embedding_map(at, ["b", "", "a", "b", ""], ax)
    drawn = {c.get_label(): c.get_offsets().tolist() for c in ax.collections}
    assert drawn == {"no family (2)": at[[1, 4]].tolist(), "a (1)": [[4, 5]], "b (2)": [[0, 1], [6, 7]]}
    ax.clear()
    many = [f"group {i:03}" for i in range(100)]
    plots.embedding_map(np.zeros((100, 2)), many, ax)
    assert ax.get_legend_handles_labels()[1] == ["no family (0)", *(f"{name} (1)" for name in many)]


def test_the_confusion_shows_the_table(ax):
    table = pd.DataFrame([[0.5, 0.1], [0.2, 0.9]], index=["Bark", "Meow_x"], columns=["Bark", "Meow_x"])
    plots.confusion_heatmap(table, ax)
    assert ax.images[0].get_array().tolist() == table.to_numpy().tolist()
    assert names_of(ax.get_yticklabels()) == names_of(ax.get_xticklabels()) == ["Bark", "Meow x"]


def test_one_large_share_leaves_the_small_ones_in_view(ax):
    """A twentieth of the largest share has more than a fifth of the range of colours."""
    shares = pd.DataFrame([[1.0, 0.05], [0.05, 0.0]], index=list("ab"), columns=list("ab"))
    plots.confusion_heatmap(shares, ax)
    assert ax.images[0].norm(0.05) > 0.2


def luminance(colour):
    """WCAG 2.2, relative luminance, of a name or of red, green and blue in [0, 1]."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour)]
    return float(np.dot(parts, [0.2126, 0.7152, 0.0722]))


def test_text_on_a_heatmap_is_readable_on_every_colour(ax):
    """The contrast of large and small text must be 4.5 or more (WCAG 2.2, 1.4.3)."""
    values = np.linspace(0, 0.7, 512)[:, None]
    plots.family_heatmap(pd.DataFrame(values, [f"{i}" for i in range(512)], ["a"]), ax)
    image, contrasts = ax.images[0], []
    for text, value in zip(ax.texts, values[:, 0], strict=True):
        below = luminance(image.cmap(image.norm(value))[:3])
        dark, light = sorted([below, luminance(text.get_color())])
        contrasts.append((light + 0.05) / (dark + 0.05))
    assert min(contrasts) >= 4.5


@pytest.fixture
def over_both(scores):
    """Scores whose intervals over uploaders are wider than those over clips; two classes are one."""
    joint = scores[(scores["level"] == "class") & (scores["name"] != "Meow")]
    joint = joint.assign(level="class_distinct", name=joint["name"].replace("Bark", "Bark = Meow"))
    one = scores[scores["level"].isin(["macro", "family"])]
    one = one.assign(level=one["level"] + "_distinct", value=0.5 * one["value"])
    every = pd.concat([scores, joint, one], ignore_index=True)
    wide = {"group_ci_low": every["value"] - 0.3, "group_ci_high": every["value"] + 0.3}
    return tables.over_groups(every.assign(**wide))


def test_figures_draw_the_interval_over_uploaders_where_they_are_known(over_both, scores, ax):
    plots.ladder(over_both, chance_of(scores), ax)
    assert "95 % interval over uploaders; thick: over clips" in ax.get_xlabel()
    lengths = {round(x1 - x0, 6) for c in ax.collections for (x0, _), (x1, _) in c.get_segments() if x1 > x0}
    assert lengths == {0.6, 0.04}
    ax.clear()
    plots.family_dots(over_both, ax)
    assert "over uploaders" in ax.get_xlabel()
    assert {round(x1 - x0, 6) for c in ax.collections for (x0, _), (x1, _) in c.get_segments()} == {0.6}
    plots.ladder(scores, chance_of(scores), ax := mpl.figure.Figure().subplots())
    assert "95 % interval over clips)" in ax.get_xlabel()
    assert tables.over_groups(scores) is scores


def test_the_ladder_marks_the_mean_over_different_classes_and_writes_the_number_at_the_bar(
    over_both, scores, ax
):
    plots.ladder(over_both, chance_of(scores), ax)
    values = [best(scores, name, "macro") for name in best_models(scores)]
    assert [text.get_position()[0] for text in ax.texts] == [*values, 0.01]
    drawn = next(c for c in ax.collections if c.get_label() == "over different classes")
    found = [segment[0, 0] for segment in drawn.get_segments()]
    assert found == pytest.approx([0.5 * value for value in values])


def test_classes_that_hold_the_same_clips_are_drawn_once(over_both, ax):
    expected = {"Bark = Meow (2)", "Rain (2)"}
    plots.class_bars(over_both, ax)
    assert set(names_of(ax.get_yticklabels())) == expected
    plots.class_differences(over_both, "aisfx", "duration", ax := mpl.figure.Figure().subplots())
    assert set(names_of(ax.get_yticklabels())) == expected
    assert plots.classes_of_best(over_both).index.tolist() != []
    first = best_models(over_both)[0]
    of_family = plots.families_of_best(over_both).loc[tables.display_name(first), "Animal"]
    assert of_family == pytest.approx(0.5 * best(over_both, first, "family", "Animal"))
    plots.family_heatmap(plots.families_of_best(over_both), ax, queries=plots.queries_of(over_both, "family"))
    assert names_of(ax.get_xticklabels()) == ["Animal\n(2 queries)"]


def test_a_model_that_was_trained_on_fsd50k_is_marked(ax):
    shown = {name: tables.display_name(name) for name in CATALOGUE}
    marked = {name for name in shown if shown[name].endswith(" †")}
    assert {"clap-2022", "pengi"} < marked
    assert all("FSD50K" in models.spec(name).trained_on for name in marked)
    assert {name for name in shown if name.startswith("fsd-sinet")} < marked
    assert not {"vggish", "yamnet", "aisfx"} & marked
    ran = tidy([(experiment.Variant("pengi"), "nns"), (experiment.Variant("aisfx"), "nns")])
    plots.ladder(ran, chance_of(ran), ax)
    assert {"Pengi †", "aiSFX"} < set(names_of(ax.get_yticklabels()))
    assert tables.seen(ran["model"]).startswith("† trained on clips of FSD50K")
    assert tables.seen(["aisfx"]) == ""


def test_a_figure_can_be_reused(tmp_path):
    """Text is text in SVG, PDF has its fonts embedded, and the caption lies beside them."""
    pypdf = pytest.importorskip("pypdf")
    plots.use_style(language="de", column=5, size=7)
    try:
        figure = mpl.figure.Figure(figsize=(plots.COLUMN, 2))
        figure.subplots().set_xlabel("macro MAP, higher is better")
        paths = {p.suffix: p for p in plots.save(figure, tmp_path, "one", "What it\n shows.")}
    finally:
        plots.use_style()
    assert set(paths) == {".svg", ".pdf", ".png", ".txt"}
    assert paths[".txt"].read_text() == "What it shows.\n"
    assert "Makro MAP, höher ist besser</text>" in paths[".svg"].read_text()
    (page,) = pypdf.PdfReader(paths[".pdf"]).pages
    assert float(page.mediabox.width) == pytest.approx(5 * 72)
    assert "höher ist besser" in page.extract_text()
    fonts = [font.get_object() for font in page["/Resources"]["/Font"].get_object().values()]
    inner = [
        font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font for font in fonts
    ]
    assert inner
    assert all("/FontFile2" in font["/FontDescriptor"].get_object() for font in inner)  # TrueType
    assert plots.COLUMN == 3.5
    with pytest.raises(ValueError, match="languages of figures"):
        plots.use_style(language="xx")


def test_a_figure_has_the_same_bytes_each_time(scores, tmp_path):
    plots.use_style()
    written = []
    for folder in ("a", "b"):
        ax = plots.class_bars(scores, mpl.figure.Figure().subplots())
        written.append([path.read_bytes() for path in plots.save(ax.figure, tmp_path / folder, "classes")])
    assert written[0] == written[1]


def test_a_figure_is_laid_out_once_for_all_its_files_and_to_be_shown(tmp_path, monkeypatch):
    plots.use_style()
    figure = mpl.figure.Figure()
    figure.subplots()
    engine, times = type(figure.get_layout_engine()), []
    execute = engine.execute
    monkeypatch.setattr(engine, "execute", lambda *given: times.append(1) or execute(*given))
    plots.save(figure, tmp_path, "one")
    figure.savefig(tmp_path / "shown.png")
    assert times == [1]


GRIDS = sorted((experiment.NOTEBOOKS / "grids").glob("*.yaml"))


LARGE = ("fsd50k-all", "paper-table1", "processing-ablation")
"""Grids of so many systems that a figure takes seconds."""


@functools.cache
def scores_of_grid(path):
    grid = experiment.read_grid(path).available()[0]
    return tables.of_exact(tidy(grid.systems()[0], grid.protocol))


@pytest.mark.parametrize(
    "path",
    [pytest.param(one, id=one.stem, marks=[pytest.mark.slow] * (one.stem in LARGE)) for one in GRIDS],
)
class TestEveryGrid:
    @pytest.fixture
    def of_grid(self, path):
        return scores_of_grid(path).copy()

    def names(self, scores):
        return {one["label"] for one in plots.looks(scores["model"]).values()}

    def test_every_system_has_one_bar_in_one_panel_and_none_lies_on_another(self, of_grid):
        heights = []
        for panel in plots.processing_panels(of_grid):
            ax = plots.processing_grid(of_grid, ax=mpl.figure.Figure().subplots(), **panel)
            edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches)
            assert all(right <= left + 1e-9 for (_, right), (left, _) in itertools.pairwise(edges))
            assert len(ax.get_xticks()) <= 30
            heights += [bar.get_height() for bar in ax.patches]
        assert sorted(heights) == sorted(of_grid.loc[of_grid["level"] == "macro", "value"])

    @pytest.mark.parametrize("kind", ["pca_curves", "macro_against_micro", "cost"])
    def test_every_model_is_in_the_figure_with_its_own_look(self, of_grid, ax, kind):
        DRAWN[kind](of_grid, ax)
        handles = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
        handles.pop("front", None)
        assert set(handles) == self.names(of_grid)
        lines = [getattr(handle, "lines", [handle])[0] for handle in handles.values()]
        looks = {(line.get_color(), line.get_marker(), line.get_fillstyle()) for line in lines}
        assert len(looks) == len(handles)

    def test_the_legend_lies_within_the_figure_and_the_figure_on_a_page(self, of_grid):
        plots.use_style()
        figure = mpl.figure.Figure(figsize=(plots.PAGE, 3))
        ax = plots.macro_against_micro(of_grid, figure.subplots())
        plots.legend(figure)
        figure.draw_without_rendering()
        (legend,), frame = figure.legends, figure.bbox
        box = legend.get_window_extent()
        assert set(names_of(legend.get_texts())) == self.names(of_grid)
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1
        assert frame.y0 <= box.y0 <= box.y1 < ax.get_window_extent().y0
        assert figure.get_figheight() < 9

    def test_the_other_figures_are_drawn(self, of_grid, ax):
        shown = {tables.display_name(model) for model in best_models(of_grid)[:10]}
        for kind in ("ladder", "family heatmap", "class differences", "class_bars", "family_dots"):
            ax.clear()
            DRAWN[kind](of_grid, ax)
            if kind in ("class_bars", "family_dots"):
                assert {" ".join(n.split()) for n in ax.get_legend_handles_labels()[1]} == shown


def test_a_model_looks_the_same_whatever_its_place():
    names = list(models.catalogue())
    assert plots.looks(names) == plots.looks(names[::-1])
    looks = {(one["color"], one["marker"], one["fillstyle"]) for one in plots.looks(names).values()}
    assert len(looks) == len(names)


def test_of_many_classes_those_are_shown_that_differ_most(ax):
    systems = [(experiment.Variant(model, "mean"), "nns") for model in ("aisfx", "msd-musicnn")]
    scores = tidy(systems, labels=[f"class {i}" for i in range(70)])
    table = plots.classes_of_best(scores)
    assert len(table) == 70
    gap = (table["aiSFX"] - table["MSD-MusiCNN"]).abs().sort_values()
    plots.class_bars(scores, ax)
    assert set(names_of(ax.get_yticklabels())) == {f"{name} (2)" for name in gap.index[10:]}
    assert ax.get_title(loc="left") == "The 60 of 70 classes that differ most (clips)"
    ax.clear()
    plots.class_differences(scores, "aisfx", "msd-musicnn", ax)
    assert set(names_of(ax.get_yticklabels())) == {f"{name} (2)" for name in gap.index[10:]}


def test_a_model_without_finite_scores_is_left_out(scores, ax):
    values = ["value", "ci_low", "ci_high"]
    scores.loc[(scores["model"] == "duration") | (scores["name"] == "Meow"), values] = np.nan
    plots.ladder(scores, chance_of(scores), ax)
    assert names_of(ax.get_yticklabels()) == ["aiSFX", "Chance"]
    assert list(plots.families_of_best(scores).index) == ["aiSFX"]
    assert [panel["model"] for panel in plots.processing_panels(scores)] == ["aisfx"]
    ax.clear()
    plots.class_bars(scores, ax)
    assert set(names_of(ax.get_yticklabels())) == {"Bark (2)", "Rain (2)"}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=list(DRAWN))
class TestEveryFigureIsDrawn:
    def drawn(self, draw, scores):
        figure = mpl.figure.Figure(figsize=(plots.PAGE, 4))
        ax = draw(scores, figure.subplots())
        plots.legend(figure)
        figure.draw_without_rendering()
        assert all(legend.get_window_extent().width <= figure.bbox.width for legend in figure.legends)
        return ax

    def test_where_scores_or_intervals_are_missing(self, draw, scores):
        for rows, columns in ((scores["n"] > 0, []), (scores["model"] == "duration", ["value"])):
            scores.loc[rows, ["ci_low", "ci_high", *columns]] = np.nan
            ax = self.drawn(draw, scores)
            assert all(np.isfinite(text.get_position()[0]) for text in ax.texts)

    def test_with_names_that_look_like_mathematics_or_are_wider_than_a_column(self, draw):
        name = r"_100$ & $\frac{$ " + 6 * "and so on "
        models.register("odd", len, rate_hz=8, dim=8, display_name=name)
        try:
            labels = ["Bark", r"$\frac$"]
            systems = [(experiment.Variant(model), "nns") for model in ("odd", "logmel")]
            self.drawn(draw, tidy(systems, labels=labels))
        finally:
            del CATALOGUE["odd"]


@pytest.fixture
def bounded(over_both):
    """Scores of one variant by three searches, with bounds; Meow has few queries."""
    own = over_both[
        (over_both["model"] == "aisfx") & over_both["n_components"].isna() & over_both["normalize"]
    ]
    few = own["name"].str.contains("Rain")
    return own.assign(chance=0.01, ceiling=1.0, n_queries=np.where(few, 20, 2))


def test_each_search_lies_between_chance_and_the_upper_bound(bounded, ax):
    plots.between_bounds(bounded, ax)
    assert names_of(ax.get_yticklabels()) == ["mcss", "mips", "nns"]
    values = tables.select(bounded, "MAP", 15).set_index("search")["value"]
    numbers = [text.get_text() for text in ax.texts if text.get_text() not in ("chance", "upper bound")]
    assert numbers == [f"{values[name]:.3f}" for name in ("mcss", "mips", "nns")]
    rails = ax.collections[0].get_segments()
    assert [rail[:, 0].tolist() for rail in rails] == [[0.01, 1.0]] * 3
    assert "over uploaders; thick: over clips" in ax.get_xlabel()


def test_classes_of_few_queries_are_counted_and_not_drawn(bounded, ax):
    one = bounded[bounded["search"] == "nns"]
    plots.class_dots(one, ax)
    assert names_of(ax.get_yticklabels()) == ["Rain (20)"]
    assert ax.get_title(loc="left") == "1 classes (queries); 1 smaller ones are left out"
    plots.class_dots(one.assign(n_queries=2), ax := mpl.figure.Figure().subplots())
    drawn = ax.collections[-1].get_offsets()[:, 0].tolist()
    assert len(drawn) == 2  # all are as small
    assert drawn == sorted(drawn)


def test_a_slope_has_a_line_for_macro_and_for_each_class(ax):
    rows = [("class", "Bark", 0.9, 0.2), ("class", "Rain", 0.5, 0.6), ("macro", "all", 0.7, 0.4)]
    table = pd.DataFrame(rows, columns=["level", "name", "a", "b"]).assign(metric="MAP", n=15)
    table = table.assign(difference=table["a"] - table["b"]).astype({"n": "Int64"})
    plots.slopes(table, ax, rules=("class", "class without uploader"))
    lines = {line.get_label(): line.get_ydata() for line in ax.lines if len(line.get_ydata())}
    assert list(lines["macro"]) == [0.7, 0.4]
    assert list(lines["Bark"]) == [0.9, 0.2]  # loses most
    assert [text.get_text() for text in ax.texts] == ["0.700", "0.400"]
    plots.slopes(table.iloc[:0], mpl.figure.Figure().subplots())  # no query has both answers


def test_hubs_are_counted_by_how_often_each_clip_is_found(ax):
    counts = {"nns": np.array([0, 1, 1, 6]), "mips": np.array([2, 2, 2, 2])}
    plots.hubs(counts, ax, n=2)
    drawn = {patch.get_label(): patch.get_data()[0].tolist() for patch in ax.patches}
    assert drawn == {"nns": [1, 2, 0, 0, 0, 0, 1], "mips": [0, 0, 4, 0, 0, 0, 0]}
    plots.hubs({"nns": np.array([0, 900] * 50)}, ax := mpl.figure.Figure().subplots())
    assert sum(ax.patches[0].get_data().values) == 100  # none falls off the ends


def test_the_similarity_matrix_is_ordered_by_family_and_class(ax):
    x = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    plots.similarity_matrix(x, ["b", "a", "b", "", "a"], ax, within=["2", "2", "1", "", "1"])
    order = [4, 1, 2, 0, 3]
    unit = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])[order]
    np.testing.assert_allclose(ax.images[0].get_array(), unit @ unit.T)
    assert names_of(ax.get_yticklabels()) == ["a", "b", "none"]


def test_a_large_similarity_matrix_stays_small(ax, tmp_path):
    x = np.random.default_rng(0).normal(size=(3000, 8))
    plots.similarity_matrix(x, ["a"] * 2000 + ["b"] * 1000, ax)
    assert ax.images[0].get_array().shape == (120, 120)
    ax.figure.savefig(tmp_path / "large.png", dpi=110)
    assert (tmp_path / "large.png").stat().st_size < 100_000


def test_a_notebook_draws_a_figure_to_measure_and_to_show_it_and_no_third_time():
    code = """
import matplotlib.figure
from IPython.core.interactiveshell import InteractiveShell

shell, drawn, draw = InteractiveShell.instance(), [], matplotlib.figure.Figure.draw
matplotlib.figure.Figure.draw = lambda *of: (drawn.append(1), draw(*of))[1]
shell.run_cell("from sss_lib import plots; plots.use_style()")
shell.run_cell("import matplotlib.pyplot as plt; figure, ax = plt.subplots()")
print(f"drawn {len(drawn)} times")
"""
    backend = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | backend, capture_output=True, text=True, check=True
    )
    assert "<Figure size" in done.stdout
    assert "drawn 2 times" in done.stdout
