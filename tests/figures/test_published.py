"""What was published is read as it was printed, and what was measured is judged by its interval."""

import json

import numpy as np
import pandas as pd
import pytest

from sss_lib import export, models, published
from sss_lib.experiment.grid import NOTEBOOKS
from sss_lib.figures.tables import SYSTEM


def test_the_tables_of_the_paper_name_the_same_models():
    assert (
        list(published.table2().index) == list(published.figure2().index) == list(published.systems().index)
    )
    assert len(published.table2()) == 14


def test_every_family_mean_lies_where_the_table_has_it():
    """Macro MAP@15 is a mean over classes, so that it lies among the means of the families."""
    families, macro = published.figure2(), published.table2()["map_at_15"]
    assert (families.min(axis=1) < macro + 0.005).all()
    assert (families.max(axis=1) > macro - 0.005).all()


def test_every_model_of_the_paper_is_in_the_catalogue():
    for system in published.systems()["system"]:
        assert models.spec(system)


@pytest.fixture
def scores():
    """Scores of YAMNet: published are 0.27, 0.15 and 25."""
    system = dict(zip(SYSTEM, ["yamnet", "mean", False, 100, True, True, "nns"], strict=True))
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
    assert set(found["processing and search"]) == {"mean, L2 first, PCA 100, L2, NNS"}  # the better of two
    assert found["published"].to_dict() == {"MAP@15": 0.27, "MAP@150": 0.15, "MR1": 25}
    assert found["measured"].to_dict() == {"MAP@15": 0.31, "MAP@150": 0.14, "MR1": 25.2}
    assert found["verdict"].to_dict() == {"MAP@15": "higher", "MAP@150": "lower", "MR1": "agrees"}
    assert found["difference"]["MAP@15"] == pytest.approx(0.04)
    assert "6 dB" in found["known deviations"]["MAP@15"]


def test_just_within_the_rounding_agrees(scores):
    wide = scores.assign(ci_low=scores["ci_low"].mask(scores["metric"] == "MAP", 0.2749))
    assert published.check(wide).set_index("metric")["verdict"]["MAP@15"] == "agrees"


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
    assert without_150["verdict"].to_dict() == {
        "MAP@15": "higher",
        "MAP@150": "not measured",
        "MR1": "agrees",
    }
    assert np.isnan(without_150["difference"]["MAP@150"])
    assert without_150["published"]["MAP@150"] == 0.15
    other = scores.assign(n=scores["n"].replace({15: 10, 150: 100}))
    found = published.check(other).set_index("metric")
    assert found["verdict"].to_dict() == {
        "MAP@15": "not measured",
        "MAP@150": "not measured",
        "MR1": "agrees",
    }
    assert found["measured"]["MR1"] == 25.2  # of the system best by MAP@10


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


def test_models_that_the_paper_does_not_have_are_not_checked(scores):
    assert published.check(scores.assign(model="aisfx")).empty


@pytest.mark.parametrize("ran", ["yamnet", "aisfx"])
def test_notebook_05_writes_the_check_beside_its_other_tables_where_there_is_one(scores, tmp_path, ran):
    cells = json.loads((NOTEBOOKS / "05_figures.ipynb").read_text())["cells"]
    (source,) = [s for s in ("".join(cell["source"]) for cell in cells) if s.startswith("written = {")]
    table, words = pd.DataFrame({"system": ["a"]}), ("caption", "varied", "drawn", "claimed", "every_rule")
    names = dict.fromkeys(["comparison", "variations", "stability", "tested", "by_rule"], table)
    names |= dict.fromkeys(words, "words") | {"dataset": "fsd50k", "without": [], "searched": {}}
    names |= {"checked": published.check(scores.assign(model=ran)), "export": export, "pd": pd}
    exec(source, names | {"figures": [], "figures_dir": tmp_path})
    suffixes = {path.suffix for path in tmp_path.glob("published.*")}
    assert suffixes == ({".csv", ".md", ".tex"} if ran == "yamnet" else {".csv"})
    assert pd.read_csv(tmp_path / "published.csv")["verdict"].tolist() == names["checked"]["verdict"].tolist()
