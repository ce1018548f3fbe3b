import itertools

import numpy as np
import pandas as pd
import pytest

from sss_lib import reports, tables


def scores_of(*rows):
    """Tidy macro MAP@15 of systems: (model, n_components, search, value)."""
    system = {"aggregation": "mean", "normalize": True, "pre_normalize": False, "scale": False}
    score = {
        "protocol": "standard",
        "relevance": "class",
        "metric": "MAP",
        "n": 15,
        "level": "macro",
        "name": "all",
    }
    table = pd.DataFrame(
        [{"model": m, "n_components": c, "search": s, "value": v, **system, **score} for m, c, s, v in rows]
    )
    return table.astype({"n": "Int64", "n_components": "Int64"})


def test_the_best_system_of_each_model_comes_best_model_first():
    scores = scores_of(("logmel", None, "nns", 0.2), ("aisfx", None, "nns", 0.3), ("aisfx", 100, "nns", 0.4))
    best = tables.best_systems(scores)
    assert best["model"].tolist() == ["aisfx", "logmel"]
    assert best["n_components"].tolist()[0] == 100


def test_of_equal_systems_the_simplest_is_named():
    scores = scores_of(("aisfx", 100, "nns", 0.4), ("aisfx", None, "mips", 0.4), ("aisfx", None, "nns", 0.4))
    best = tables.best_systems(scores.sample(frac=1, random_state=0))
    assert best["search"].tolist() == ["nns"]
    assert pd.isna(best["n_components"][0])


def test_a_step_of_processing_that_gains_nothing_is_left_out():
    plain = scores_of(("freesound", None, "nns", 0.4))
    ways = [plain.assign(scale=scale, pre_normalize=pre) for scale in (True, False) for pre in (True, False)]
    for order in itertools.permutations(ways):
        (best,) = tables.best_systems(pd.concat(order)).to_dict("records")
        assert (best["scale"], best["pre_normalize"]) == (False, False)
    (best,) = tables.best_systems(pd.concat([ways[0], ways[1].assign(value=0.5)])).to_dict("records")
    assert (best["scale"], best["pre_normalize"]) == (True, False)


def test_a_score_that_is_not_there_is_a_dash_and_its_model_the_last():
    scores = scores_of(("aisfx", None, "nns", np.nan), ("logmel", None, "nns", 0.2))
    scores = scores.assign(ci_low=np.nan, ci_high=np.nan)
    assert tables.best_systems(scores)["model"].tolist() == ["logmel", "aisfx"]
    found = tables.variations(scores)
    assert found["MAP@15"].tolist() == ["0.200", "-"]
    two = scores.replace({"model": {"aisfx": "clap-2022", "logmel": "clap-2022+truncate"}})
    assert tables.variations(two)["Next"].tolist() == ["CLAP2022, -"]
    by_rule = pd.concat([scores, scores.assign(relevance="leaf", value=np.nan)])
    table = reports.by_relevance(by_rule)
    assert table["model"].tolist() == ["logmel", "aisfx"]
    assert table["leaf"].isna().all()


def test_scores_are_under_the_only_protocol_there_is_or_the_standard_one():
    standard = scores_of(("aisfx", None, "nns", 0.5))
    paper = standard.assign(protocol="paper", value=0.3)
    for scores, value in ((standard, 0.5), (paper, 0.3), (pd.concat([paper, standard]), 0.5)):
        assert tables.select(scores, "MAP", 15)["value"].tolist() == [value]


def test_of_a_models_variations_the_best_is_shown_and_the_others_counted():
    names = ("openl3-env-mel128-emb512", "aisfx", "openl3-music-mel256-emb512", "openl3-env-mel256-emb512")
    values = (0.2, 0.25, 0.4, 0.3)
    scores = scores_of(*((name, None, "nns", value) for name, value in zip(names, values, strict=True)))
    found = tables.variations(scores)
    assert found["Model"].tolist() == ["OpenL3", "aiSFX"]
    assert found["Best variation"].tolist() == ["OpenL3 music 256 512", "aiSFX"]
    assert found["MAP@15"].tolist() == ["0.400", "0.250"]
    assert found["Tried"].tolist() == [3, 1]
    assert found["Next"].tolist() == ["OpenL3 env 256 512, 0.300", "-"]


def test_a_models_preparations_are_variations_of_it():
    scores = scores_of(("clap-2022+truncate", None, "nns", 0.2), ("clap-2022", None, "nns", 0.1))
    (row,) = tables.variations(scores).to_dict("records")
    assert (row["Model"], row["Tried"]) == ("CLAP2022", 2)


def test_scores_that_are_not_there_are_named():
    with pytest.raises(ValueError, match="no score with metric=MAP, n=7") as caught:
        tables.select(scores_of(("aisfx", None, "nns", 0.4)), "MAP", 7)
    assert "15" in str(caught.value)


def test_of_systems_keeps_systems_with_and_without_pca_apart():
    scores = scores_of(("aisfx", None, "nns", 0.1), ("aisfx", 100, "nns", 0.2), ("aisfx", 50, "nns", 0.3))
    without = scores.iloc[[0]]
    assert tables.of_systems(scores, without)["value"].tolist() == [0.1]


def test_protocols_are_set_side_by_side():
    standard = scores_of(("aisfx", None, "nns", 0.5)).assign(denominator="min(N, R)", rank_base=pd.NA)
    both = pd.concat([standard, standard.assign(protocol="paper", value=0.3)])
    (row,) = reports.protocol_differences(both).to_dict("records")
    assert (row["standard"], row["paper"], row["difference"]) == pytest.approx((0.5, 0.3, -0.2))


def test_the_comparison_shows_each_best_system_and_chance():
    system = {
        "aggregation": "mean",
        "normalize": True,
        "pre_normalize": False,
        "scale": False,
        "search": "nns",
    }
    about = {"protocol": "standard", "relevance": "class", "level": "macro", "name": "all"}
    rows = [
        {
            "model": m,
            "n_components": c,
            **system,
            **about,
            "metric": metric,
            "n": n,
            "value": v + step,
            "ci_low": v + step - 0.05,
            "ci_high": v + step + 0.05,
        }
        for m, c, v in (("aisfx", None, 0.3), ("aisfx", 100, 0.4), ("logmel", None, 0.2))
        for metric, n, step in (("MAP", 15, 0), ("MAP", 150, 0.1), ("MR1", None, 9))
    ]
    scores = pd.DataFrame(rows).astype({"n": "Int64", "n_components": "Int64"})
    chance = pd.DataFrame(
        [
            {**about, "metric": "MAP", "n": 15, "value": 0.05},
            {**about, "metric": "MAP", "n": 150, "value": 0.06},
            {**about, "metric": "MR1", "n": None, "value": 70.0},
        ]
    ).astype({"n": "Int64"})
    table = tables.comparison(scores, chance)
    assert table["System"].tolist() == ["aiSFX", "Log-mel statistics", "Chance (expected)"]
    assert table["Dim"].tolist() == ["100", "128", "-"]
    assert table["MAP@15"].tolist() == ["0.400 [0.350, 0.450]", "0.200 [0.150, 0.250]", "0.050"]
    assert table["MAP@150"].tolist() == ["0.500 [0.450, 0.550]", "0.300 [0.250, 0.350]", "0.060"]
    assert table["MR1"].tolist()[0] == "9.4 [9.3, 9.5]"
    assert table["MR1"].tolist()[2] == "70.0"
