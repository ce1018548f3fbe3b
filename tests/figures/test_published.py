"""What was published is read as it was printed, and what was measured is judged by its interval."""

import json

import numpy as np
import pandas as pd
import pytest

from sss_lib import export, models, published
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
    system = dict(zip(SYSTEM, ["yamnet", "mean", False, "none", 100, True, True, "nns"], strict=True))
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


@pytest.mark.parametrize("ran", ["yamnet", "aisfx"])
def test_notebook_05_writes_the_check_beside_its_other_tables_where_there_is_one(scores, tmp_path, ran):
    cells = json.loads((NOTEBOOKS / "05_figures.ipynb").read_text())["cells"]
    (source,) = [s for s in ("".join(cell["source"]) for cell in cells) if s.startswith("written = {")]
    table, words = (
        pd.DataFrame({"system": ["a"]}),
        ("caption", "varied", "drawn", "claimed", "every_rule", "timed"),
    )
    names = dict.fromkeys(["comparison", "variations", "stability", "tested", "by_rule"], table)
    names |= dict.fromkeys(words, "words") | {"dataset": "fsd50k", "without": [], "searched": {}}
    names |= {"checked": published.check(scores.assign(model=ran)), "export": export, "pd": pd}
    exec(source, names | {"figures": [], "figures_dir": tmp_path})
    suffixes = {path.suffix for path in tmp_path.glob("published.*")}
    assert suffixes == ({".csv", ".md", ".tex"} if ran == "yamnet" else {".csv"})
    assert pd.read_csv(tmp_path / "published.csv")["verdict"].tolist() == names["checked"]["verdict"].tolist()
