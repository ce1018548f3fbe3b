"""What was published is read as it was printed, and what was measured is judged by its interval."""

import json
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sss_lib import experiment, export, models, plots, published
from sss_lib.experiment.grid import NOTEBOOKS
from sss_lib.figures.tables import SYSTEM


def test_the_published_tables_agree_with_each_other_and_the_catalogue():
    families, table2, systems = published.figure2(), published.table2(), published.systems()
    assert list(table2.index) == list(families.index) == list(systems.index)
    assert len(table2) == 14
    assert all(models.spec(system) for system in systems["system"])
    # Macro MAP@15 is a mean over classes, so that it lies among the means of the families.
    assert (families.min(axis=1) < table2["map_at_15"] + 0.005).all()
    assert (families.max(axis=1) > table2["map_at_15"] - 0.005).all()


@pytest.fixture
def scores():
    """Scores of YAMNet: published are 0.27, 0.15 and 25."""
    system = dict(zip(SYSTEM, ["yamnet", "mean", False, "none", 100, True, False, "nns"], strict=True))
    measured = [
        ("MAP", 15, 0.31, 0.28, 0.33),
        ("MAP", 150, 0.14, 0.13, 0.144),
        ("MR1", None, 25.2, 24.0, 26.1),
    ]
    rows = [
        {
            "protocol": protocol,
            "metric": metric,
            "n": n,
            "level": "macro",
            "name": "all",
            "relevance": "class",
        }
        | {"value": value - worse, "ci_low": low - worse, "ci_high": high - worse}
        | {**system, "aggregation": how}
        for metric, n, value, low, high in measured
        for protocol in ("standard", "paper")
        for how, worse in (("mean", 0.0), ("max", 0.02 if metric == "MAP" else 0.0))
    ]
    return pd.DataFrame(rows).astype({"n": "Int64", "n_components": "Int64"})


def test_a_number_agrees_if_its_interval_reaches_the_published_one_give_or_take_rounding(scores):
    found = published.check(scores).set_index("metric")
    assert set(found["processing and search"]) == {"mean, PCA 100, L2, NNS"}  # the better of two
    assert found["published"].to_dict() == {"MAP@15": 0.27, "MAP@150": 0.15, "MR1": 25}
    assert found["measured"].to_dict() == {"MAP@15": 0.31, "MAP@150": 0.14, "MR1": 25.2}
    assert found["verdict"].to_dict() == {"MAP@15": "higher", "MAP@150": "lower", "MR1": "agrees"}
    assert found["difference"]["MAP@15"] == pytest.approx(0.04)
    assert "6 dB" in found["known deviations"]["MAP@15"]
    wide = scores.assign(ci_low=scores["ci_low"].mask(scores["metric"] == "MAP", 0.2749))
    assert published.check(wide).set_index("metric")["verdict"]["MAP@15"] == "agrees"
    assert published.check(scores.assign(model="aisfx")).empty  # the paper doesn't have it


def test_with_the_papers_preprocessing_its_accidents_are_gone_and_only_noise_is_left(scores):
    found = published.check(scores.assign(model="yamnet+paper"))
    assert found["system"].unique().tolist() == ["yamnet+paper"]
    noise = "silent frames stay silent, where the study's Essentia put random noise into them"
    assert found["known deviations"].unique().tolist() == [noise]
    found = published.check(scores.assign(model="wav2clip+paper"))
    assert (found["known deviations"] == "").all()


@pytest.mark.parametrize(
    ("gone", "verdict"),
    [(["ci_low", "ci_high"], "no interval"), (["value", "ci_low", "ci_high"], "not measured")],
)
def test_a_number_that_is_not_there_never_agrees(scores, gone, verdict):
    found = published.check(scores.assign(**dict.fromkeys(gone, np.nan)))
    assert found["verdict"].tolist() == [verdict] * 3
    assert found["measured"].isna().all() == ("value" in gone)


def test_cutoffs_that_the_grid_lacks_are_said_and_the_others_compared(scores):
    without_150 = published.check(scores[scores["n"].ne(150).fillna(True)]).set_index("metric")
    other = published.check(scores.assign(n=scores["n"].replace({15: 10, 150: 100}))).set_index("metric")
    for found, of_15 in ((without_150, "higher"), (other, "not measured")):
        verdicts = {"MAP@15": of_15, "MAP@150": "not measured", "MR1": "agrees"}
        assert found["verdict"].to_dict() == verdicts
        assert np.isnan(found["difference"]["MAP@150"])
        assert found["published"]["MAP@150"] == 0.15
    assert other["measured"]["MR1"] == 25.2  # of the system best by MAP@10


def test_draws_that_cannot_be_repeated_are_named_even_with_the_papers_preprocessing(scores):
    drawing = [n for n in published.systems()["system"] if "drew anew" in models.spec(n).paper_differs]
    assert len(drawing) == 4
    for name in drawing:
        plain, as_paper = (
            published.check(scores.assign(model=name + way))["known deviations"].unique().tolist()
            for way in ("", "+paper")
        )
        assert plain == [models.spec(name).paper_differs]
        (known,) = as_paper
        assert known.endswith("drawn with a seed from the clip, where the study drew anew each time")


def cells_of_05c(*words):
    """Code of the cells of notebook 05c that have one of some words."""
    cells = json.loads((NOTEBOOKS / "05c_study.ipynb").read_text("utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return [text for text in code if any(word in text for word in words)]


@pytest.mark.parametrize("ran", ["yamnet", "aisfx"])
def test_notebook_05c_writes_the_check_with_a_caption_where_there_is_one(scores, ran):
    (source,) = cells_of_05c("published.check(")
    names = {"alone": scores.assign(model=ran), "run": mock.Mock(), "dataset": "fsd50k", "export": export}
    exec(source, names | {"published": published, "display": lambda *_: None})
    (written,) = names["run"].write.mock_calls
    name, table, caption = written.args
    assert (name, bool(caption)) == ("published", ran == "yamnet")
    assert table["verdict"].tolist() == published.check(names["alone"])["verdict"].tolist()


CLASSES = pd.read_csv(published.PAPER.parent / "ontology" / "fsd50k_classes.csv", keep_default_na=False)


def grid_of(name):
    return experiment.read_grid(NOTEBOOKS / "grids" / f"{name}.yaml")


def test_every_published_number_is_there_with_its_error():
    numbers = published.numbers()
    assert numbers["source"].value_counts().to_dict() == {
        "classes": 2800,
        "Fig. 1": 111,
        "Fig. 2": 84,
        "Table II": 42,
    }
    assert numbers["published"].notna().all()
    assert not numbers.duplicated(list(numbers.columns[:9].drop("level"))).any()
    errors = numbers.groupby(["source", "metric", "pca"])["error"].first().round(6).to_dict()
    assert errors["Table II", "MR1", ""] == 0.5
    assert errors["Fig. 1", "MAP", "none"] == pytest.approx(0.00005)  # without PCA nothing was random
    assert errors["Fig. 1", "MAP", "100"] == pytest.approx(0.00055)
    assert errors["classes", "MAP", ""] == pytest.approx(0.0035)


def test_scores_read_from_pictures_have_the_means_that_were_printed():
    """The families leave out the 22 classes with several parents, as those here do."""
    of_class, family = published.per_class(), CLASSES.set_index("label")["family"]
    assert set(of_class.index) == set(family.index)
    macro = of_class.mean() - published.table2()["map_at_15"]
    assert macro.abs().max() < 0.006  # ImageBind, .296, was printed as .29
    assert (macro.drop("ImageBind").abs() < 0.005 + 0.002).all()
    assert (family == "").sum() == 22
    means = of_class[family[of_class.index] != ""].groupby(family).mean().T
    assert (means - published.figure2()).abs().max().max() < 0.004
    counted = of_class.groupby(family.replace("", "Sounds_of_things")).mean().T  # as if they counted
    assert (counted - published.figure2()).abs().max().max() > 0.01


def test_figure_1_rounds_to_table_2():
    """Of five models, by what the study took for each: mean, PCA 100, cosine."""
    bars = published.figure1().set_index(["model", "aggregation", "pca", "search"])["macro_map_at_15"]
    for model in ("VGGish", "YAMNet", "FSD-SINet", "OpenL3"):
        found = bars[model, "mean", "100", "mcss"]
        assert found == pytest.approx(published.table2().loc[model, "map_at_15"], abs=0.005)
    assert bars["Freesound", "none", "100", "nns"] == pytest.approx(0.09, abs=0.005)


def test_the_grids_have_what_the_study_printed():
    systems, bars = grid_of("paper-fig1").systems()[0], published.figure1()
    of_model = dict(zip(published.systems()["system"], published.systems().index, strict=True))
    found = {
        (of_model[one.model], one.aggregation, str(one.n_components or "none"), search)
        for one, search in systems
    }
    assert found == set(bars.iloc[:, :4].itertuples(index=False, name=None))
    assert len(systems) == len(bars) == 111
    assert not any(one.pre_normalize or one.normalize for one, _ in systems)
    for name in ("paper-fig2", "paper-table2"):
        assert list(grid_of(name).models) == published.systems()["system"].tolist()
    assert set(grid_of("fsd50k-all").models) == set(models.catalogue())
    series = {models.spec(name).series for name in published.systems()["system"][published.table1().index]}
    every = {name for name, row in models.catalogue().items() if row.series in series}
    assert set(grid_of("paper-table1").models) == every


def tidy(systems, values):
    """Scores of systems: each a macro MAP@15, under the paper's protocol, with an interval of +-.01."""
    rows = [
        {**one.parameters(), "search": search, "value": value}
        for (one, search), value in zip(systems, values, strict=True)
    ]
    about = {"protocol": "paper", "metric": "MAP", "n": 15, "level": "macro", "name": "all"}
    table = pd.DataFrame(rows).assign(**about, relevance="class")
    table = table.assign(ci_low=table["value"] - 0.01, ci_high=table["value"] + 0.01)
    return table.astype({"n": "Int64", "n_components": "Int64"})


def test_each_bar_of_figure_1_is_compared_with_the_system_that_it_is_of():
    systems = grid_of("paper-fig1").systems()[0]
    printed = published.figure1()
    of_model = published.systems()["system"]
    keys = {
        (of_model[row.model], row.aggregation, row.pca, row.search): row.macro_map_at_15
        for row in printed.itertuples()
    }
    values = [
        keys[one.model, one.aggregation, str(one.n_components or "none"), search] for one, search in systems
    ]
    found = published.check_all(tidy(systems, values))
    bars = found[found["source"] == "Fig. 1"]
    assert (bars["verdict"] == "agrees").all()
    assert len(bars) == 111
    assert bars["difference"].abs().max() < 1e-12
    table = published.differences(found, "Fig. 1")
    assert table.shape[0] == 5
    assert table.notna().sum().sum() == 111
    off = tidy(systems, [values[0] + 0.02, *values[1:]])
    verdicts = published.tally(published.check_all(off)).set_index("source")
    assert verdicts.loc["Fig. 1", ["agrees", "higher"]].tolist() == [110, 1]
    assert verdicts.loc["classes", "not measured"] == 5 * 200
    assert verdicts.loc["Table II", "not measured"] == 5 * 2


def test_only_the_systems_of_the_state_that_is_named_are_compared(scores):
    newest = scores.assign(pre_normalize=True, value=scores["value"] + 0.1)
    both = pd.concat([scores, newest])
    for state, words in (
        ("published", "mean, PCA 100, L2, NNS"),
        ("newest", "mean, L2 first, PCA 100, L2, NNS"),
    ):
        assert set(published.check(both, state)["processing and search"]) == {words}
    assert published.check(newest).empty
    with pytest.raises(ValueError, match=r"'newst' is not among the states .*: did you mean 'newest'"):
        published.check(scores, "newst")


def test_families_and_classes_are_compared_by_name(scores):
    own = scores[(scores["metric"] == "MAP") & (scores["n"] == 15)]
    some = [("family", "Animal", 0.374), ("family", "Music", 0.1), ("class", "Bark", 0.9)]
    more = [
        own.assign(level=level, name=name, value=value, ci_low=value - 0.001, ci_high=value + 0.001)
        for level, name, value in some
    ]
    found = published.check_all(pd.concat([scores, *more])).set_index(["source", "name"])["verdict"]
    assert found["Fig. 2", "Animal"] == "agrees"
    assert found["Fig. 2", "Music"] == "lower"
    assert found["classes", "Bark"] == "higher"
    assert found["classes", "Rain"] == "not measured"


@pytest.mark.parametrize(
    ("values", "best", "verdict"),
    [
        ({"cav-mae-as-46.6": 0.3, "cav-mae-pretrained": 0.2}, "cav-mae-as-46.6", "agrees"),
        ({"cav-mae-as-46.6": 0.2, "cav-mae-pretrained+paper": 0.3}, "cav-mae-pretrained", "another"),
        ({"cav-mae-as-46.6": 0.2}, "cav-mae-as-46.6", "not measured"),
        ({"cav-mae-pretrained": 0.2}, "cav-mae-pretrained", "not measured"),
    ],
)
def test_a_variation_is_the_published_one_if_it_is_the_best_of_several(values, best, verdict):
    ways = [(experiment.Variant(name, "mean", 100), "nns") for name in values]
    row = published.check_variations(tidy(ways, list(values.values()))).set_index("model").loc["CAV-MAE"]
    assert (row["best"], row["verdict"]) == (best, verdict)


@pytest.mark.parametrize("measured", [True, False])
def test_notebook_05c_maps_where_its_numbers_differ_if_it_measured_any(measured):
    systems, run = grid_of("paper-fig1").systems()[0], mock.Mock()
    alone = tidy(systems, np.linspace(0, 0.5, len(systems)))
    names = {"published": published, "export": export, "plots": plots, "run": run}
    names |= {"alone": alone if measured else alone.iloc[:0], "display": lambda *_: None}
    cells = cells_of_05c("numbers =", "check_variations")
    assert len(cells) == 2
    run.variations.return_value = pd.DataFrame({"a": [1]}), ""
    for text in cells:
        exec(text, names)
    assert ("published-numbers" in [call.args[0] for call in run.write.mock_calls]) == measured
    saved = {call.args[1]: call.args[2] for call in run.save.mock_calls}
    maps = {"published-fig1-differences", "published-tableii-differences"}
    assert set(saved) == (maps if measured else set())
    assert all(words.startswith("Measured less published MAP") for words in saved.values())
    plt.close("all")
