import itertools

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("agg")

import matplotlib.pyplot as plt

from sss_lib import models, plots, tables


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
    label = ax.get_xticklabels()[round(bar.get_x() + bar.get_width() / 2)]
    assert label.get_text() == "mean\nPCA 100\nraw"


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
    first, second = [text.get_text() for text in ax.get_legend().get_texts()]
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
    found = np.concatenate([c.get_offsets() for c in ax.collections])
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
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Bark", "Meow x"]
