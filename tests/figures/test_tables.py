"""Tables show the scores that they are made of: each model's best system, one system, single queries."""

import numpy as np
import pandas as pd
import pytest
import reference

from sss_lib import metrics, models, relevance, tables

SYSTEM = {
    "aggregation": "mean",
    "normalize": True,
    "pre_normalize": False,
    "scale": False,
    "transform": "none",
}
MACRO = {"protocol": "standard", "relevance": "class", "level": "macro", "name": "all"}


def scores_of(*rows):
    """Tidy macro MAP@15 of systems: (model, n_components, search, value)."""
    columns = ("model", "n_components", "search", "value")
    score = SYSTEM | MACRO | {"metric": "MAP", "n": 15}
    table = pd.DataFrame([dict(zip(columns, row, strict=True)) | score for row in rows])
    return table.astype({"n": "Int64", "n_components": "Int64"})


def test_the_best_system_of_each_model_comes_best_model_first():
    scores = scores_of(("logmel", None, "nns", 0.2), ("aisfx", None, "nns", 0.3), ("aisfx", 100, "nns", 0.4))
    best = tables.best_systems(scores)
    assert best["model"].tolist() == ["aisfx", "logmel"]
    assert best["n_components"].tolist()[0] == 100


def test_of_equal_systems_the_simplest_is_named():
    scores = scores_of(("aisfx", 100, "nns", 0.4), ("aisfx", None, "mips", 0.4), ("aisfx", None, "nns", 0.4))
    ways = [scores.assign(scale=scale, pre_normalize=pre) for scale in (True, False) for pre in (True, False)]
    ways += [scores.assign(transform=transform) for transform in ("center", "remove-top-1")]
    for seed in range(6):
        (best,) = tables.best_systems(pd.concat(ways).sample(frac=1, random_state=seed)).to_dict("records")
        assert (best["search"], best["scale"], best["pre_normalize"]) == ("nns", False, False)
        assert best["transform"] == "none"
        assert pd.isna(best["n_components"])
    (best,) = tables.best_systems(pd.concat([*ways, ways[1].assign(value=0.5)])).to_dict("records")
    assert (best["scale"], best["pre_normalize"]) == (True, False)


def test_of_systems_within_a_number_of_dimensions_each_models_best_is_shown_with_its_licence():
    rows = [("aisfx", None, "nns", 0.4), ("aisfx", 100, "nns", 0.3), ("aisfx", 50, "nns", 0.35)]
    scores = scores_of(*rows, ("msd-musicnn", None, "nns", 0.2), ("logmel", None, "nns", 0.1))
    scores = scores.assign(ci_low=np.nan, ci_high=np.nan)
    dims = {most: tables.within(scores, most)["Dim"].tolist() for most in (2, 50, 128, 255, 512)}
    assert dims == {2: [], 50: [50], 128: [50, 128], 255: [50, 200, 128], 512: [512, 200, 128]}
    licences = tables.within(scores, 255)["Licence"].tolist()
    assert licences == ["CC BY 4.0", "ISC; by Essentia: AGPL-3.0", "no weights"]


def test_the_best_system_is_an_exact_one_where_there_is_one():
    rows = [("m", 5, "nns-IVF16-nprobe=1", 0.5), ("m", 5, "nns", 0.4), ("m", 5, "mips", 0.3)]
    scores = scores_of(*rows)
    assert tables.best_systems(scores)["search"].tolist() == ["nns"]
    assert tables.best_systems(scores[:1])["search"].tolist() == ["nns-IVF16-nprobe=1"]
    assert tables.describe_system(scores.iloc[0]) == "mean, PCA 5, L2, NNS IVF16-nprobe=1"


def test_a_missing_score_is_a_dash_and_its_model_the_last():
    scores = scores_of(("aisfx", None, "nns", np.nan), ("logmel", None, "nns", 0.2))
    scores = scores.assign(ci_low=np.nan, ci_high=np.nan)
    assert tables.best_systems(scores)["model"].tolist() == ["logmel", "aisfx"]
    assert tables.variations(scores)["MAP@15"].tolist() == ["0.200", "-"]
    two = scores.replace({"model": {"aisfx": "clap-2022", "logmel": "clap-2022+truncate"}})
    assert tables.variations(two)["Next"].tolist() == ["CLAP2022 †, -"]
    table = tables.by_relevance(pd.concat([scores, scores.assign(relevance="leaf", value=np.nan)]))
    assert table["model"].tolist() == ["logmel", "aisfx"]
    assert table["leaf"].isna().all()


def test_scores_are_under_the_only_protocol_there_is_or_the_standard_one():
    standard = scores_of(("aisfx", None, "nns", 0.5))
    paper = standard.assign(protocol="paper", value=0.3)
    for scores, value in ((standard, 0.5), (paper, 0.3), (pd.concat([paper, standard]), 0.5)):
        assert tables.select(scores, "MAP", 15)["value"].tolist() == [value]
    with pytest.raises(ValueError, match=r"no score with metric=MAP, n=7(.|\n)*15"):
        tables.select(standard, "MAP", 7)


def test_of_a_models_variations_the_best_is_shown_and_the_others_counted():
    values = {"openl3-env-mel128-emb512": 0.2, "aisfx": 0.25, "openl3-music-mel256-emb512": 0.4}
    values |= {"openl3-env-mel256-emb512": 0.3, "clap-2022+truncate": 0.2, "clap-2022": 0.1}
    found = tables.variations(scores_of(*((name, None, "nns", value) for name, value in values.items())))
    columns = ["Model", "Best variation", "MAP@15", "Tried", "Next"]
    rows = found[columns].to_numpy().tolist()
    assert rows[0] == ["OpenL3", "OpenL3 music 256 512", "0.400", 3, "OpenL3 env 256 512, 0.300"]
    assert rows[1] == ["aiSFX", "aiSFX", "0.250", 1, "-"]
    assert (rows[2][0], rows[2][3]) == ("CLAP2022", 2)  # a way to prepare the audio is a variation


def test_of_systems_keeps_systems_with_and_without_pca_apart():
    scores = scores_of(("aisfx", None, "nns", 0.1), ("aisfx", 100, "nns", 0.2), ("aisfx", 50, "nns", 0.3))
    assert tables.of_systems(scores, scores.iloc[[0]])["value"].tolist() == [0.1]


def test_the_comparison_shows_each_best_system_between_ceiling_and_chance():
    measures = (("MAP", 15, 0), ("MAP", 150, 0.1), ("MR1", None, 9))
    rows = [
        SYSTEM | MACRO | {"model": m, "n_components": c, "search": "nns", "metric": metric, "n": n}
        | {"value": v + step, "ci_low": v + step - 0.05, "ci_high": v + step + 0.05}
        for m, c, v in (("aisfx", None, 0.3), ("aisfx", 100, 0.4), ("logmel", None, 0.2))
        for metric, n, step in measures
    ]  # fmt: skip
    scores = pd.DataFrame(rows).astype({"n": "Int64", "n_components": "Int64"})
    chance, ceiling = (
        pd.DataFrame(
            [MACRO | {"metric": m, "n": n, "value": v} for (m, n, _), v in zip(measures, of, strict=True)]
        )
        for of in ((0.05, 0.06, 70.0), (1.0, 1.0, 1.0))
    )
    table = tables.comparison(scores, chance, ceiling, p={"logmel": 0.004})
    assert table["System"].tolist() == [
        *("Ceiling (labels)", "aiSFX", "Log-mel statistics", "Chance (expected)")
    ]
    assert table["Dim"].tolist() == ["-", "100", "128", "-"]
    assert table["MAP@15"].tolist() == [
        *("1.000", "0.400 [0.350, 0.450]", "0.200 [0.150, 0.250] **", "0.050")
    ]
    assert table["MAP@150"].tolist()[1:] == ["0.500 [0.450, 0.550]", "0.300 [0.250, 0.350]", "0.060"]
    assert table["MR1"].tolist()[1::2] == ["9.4 [9.3, 9.5]", "70.0"]


@pytest.fixture(scope="module")
def run():
    """Two systems' per-query results, and the labels, families and fnames."""
    rng = np.random.default_rng(0)
    x, has_label, labels, families = reference.random_multilabel(rng, 40, 6, 3)
    queries = [metrics.per_query(x[:, :dim], has_label, cutoffs=(5,)) for dim in (3, 1)]
    return queries, labels, families, [f"clip{i}" for i in range(40)]


def test_protocols_stand_side_by_side_with_what_each_number_was_divided_by(run):
    (queries, _), labels, families, _ = run
    scores = [metrics.summarise(*queries, labels, families, protocol=p) for p in metrics.PROTOCOLS]
    every = pd.concat([*scores, scores[0].assign(relevance="leaf")])
    table = tables.protocol_differences(every).set_index(["metric", "level"])
    assert table.loc[("MAP", "micro"), "by"] == "over min(N, R) | over N"
    assert table.loc[("MR1", "macro"), "by"] == "ranks from 1 | ranks from 0"
    assert table.loc[("MR1", "macro"), "difference"] == pytest.approx(-1)


def test_each_system_has_its_score_by_every_definition_of_relevance():
    rng = np.random.default_rng(1)
    x, has_label, labels, _ = reference.random_multilabel(rng, 40, 6, 3)
    clips = pd.DataFrame({"uploader": np.arange(40) // 4 % 5})
    scores = pd.concat(
        [
            metrics.evaluate(x[:, :dim], has_label, labels, cutoffs=(5,), relevant=rule).assign(
                model=model, n_components=pd.NA, search="nns", **SYSTEM
            )
            for model, dim in (("aisfx", 1), ("logmel", 3))
            for rule in relevance.definitions(labels, clips, "uploader")
        ],
        ignore_index=True,
    )
    table = tables.by_relevance(scores, 5)
    assert {"class", "leaf", "any", "graded", "class without uploader"} <= set(table)
    assert table["class"].is_monotonic_decreasing
    bounded = tables.by_relevance(scores.assign(chance=0.1, ceiling=0.9), 5)
    assert bounded["model"].tolist() == ["Ceiling (labels)", *table["model"], "Chance (expected)"]
    assert (bounded.loc[0, ["class", "graded"]] == 0.9).all()
    pd.testing.assert_frame_equal(bounded.iloc[1:3].reset_index(drop=True), table, check_dtype=False)


def test_disagreements_are_sorted_by_their_gap(run):
    (a, b), labels, _, fnames = run
    for level in ("class", "micro"):
        table = tables.disagreements(a, b, fnames, labels, n=5, level=level)
        assert table["gap"].abs().is_monotonic_decreasing
        np.testing.assert_allclose(table["gap"], table["a"] - table["b"])
        assert len(table) == np.isfinite(a[level == "micro"].scores("standard")["MAP", 5]).sum()
    row = table.iloc[0]
    at = a[1].query.tolist().index(fnames.index(row["fname"]))
    assert row["a"] == a[1].scores("standard")["MAP", 5][at]
    assert tables.disagreements(a, b, fnames, labels, metric="MR1", n=None)["a"].min() >= 1
    with pytest.raises(ValueError, match="level 'macro' has no queries"):
        tables.disagreements(a, b, fnames, labels, n=5, level="macro")
    with pytest.raises(ValueError, match="metric='MAP', n=15 was not scored"):
        tables.disagreements(a, b, fnames, labels)


def test_queries_come_back_from_their_table(run):
    (queries, _), labels, families, fnames = run
    table = metrics.queries_table(*queries, fnames, labels)
    back = metrics.read_queries(table, fnames, labels)
    for protocol in metrics.PROTOCOLS:
        expected, found = (
            metrics.summarise(*q, labels, families, protocol=protocol) for q in (queries, back)
        )
        pd.testing.assert_frame_equal(found, expected)
    with pytest.raises(ValueError, match="no queries by relevance 'leaf': the table has 'class'"):
        metrics.read_queries(table, fnames, labels, relevance="leaf")
    assert metrics.read_queries(table, fnames[:10], labels)[1].query.max() < 10
    there = table["label"].max()
    with pytest.raises(ValueError, match=f"queries of class '{there}', which is not among the 5 labels"):
        metrics.read_queries(table, fnames, [label for label in labels if label != there])


def test_class_scores_have_every_measure_of_each_best_system():
    values = {("MAP", 15): 0.5, ("MAP", 150): 0.4, ("MR1", None): 7.0}
    rows = [
        {**SYSTEM, "model": model, "search": search, "n_components": None, "protocol": "standard"}
        | {"metric": metric, "n": n, "level": level, "name": name, "relevance": "class"}
        | {"value": value * worse, "n_queries": size}
        for (metric, n), value in values.items()
        for model, worse in (("aisfx", 1.0), ("logmel", 0.5))
        for search, level, name, size in (
            ("nns", "macro", "all", 9),
            ("nns", "class", "Rain", 5),
            ("nns", "class", "Bark", 4),
        )
    ]
    scores = pd.DataFrame(rows).astype({"n": "Int64", "n_components": "Int64"})
    found = tables.class_scores(scores)
    assert list(found.columns) == ["class", "queries", "model", "MAP@15", "MAP@150", "MR1"]
    assert found.to_numpy().tolist() == [
        ["Bark", 4, "aisfx", 0.5, 0.4, 7.0],
        ["Bark", 4, "logmel", 0.25, 0.2, 3.5],
        ["Rain", 5, "aisfx", 0.5, 0.4, 7.0],
        ["Rain", 5, "logmel", 0.25, 0.2, 3.5],
    ]


def test_the_comparison_has_the_mean_over_different_classes_where_the_scores_have_it():
    """Scores from before that level are read as they were."""
    rows = [("aisfx", None, "nns", 0.4), ("pengi", None, "nns", 0.3)]
    old = pd.concat([scores_of(*rows).assign(metric=m, n=n) for m, n in (("MAP", 15), ("MAP", 150))])
    old = pd.concat([old, scores_of(*rows).assign(metric="MR1", n=pd.NA)]).astype({"n": "Int64"})
    chance = old[old["model"] == "aisfx"].assign(value=0.1)
    assert "MAP@15, different classes" not in tables.comparison(old, chance)
    new, of_chance = (
        pd.concat([every, every.assign(level="macro_distinct", value=every["value"] / 2)])
        for every in (old, chance)
    )
    table = tables.comparison(new, of_chance).set_index("System")
    assert table["MAP@15"].tolist() == ["0.400", "0.300", "0.100"]
    assert table["MAP@15, different classes"].tolist() == ["0.200", "0.150", "0.050"]
    assert table.loc["Pengi †", "Trained on"] == models.spec("pengi").trained_on
    with pytest.raises(ValueError, match="level=macro_distinct"):
        tables.select(old, "MAP", 15, level="macro_distinct")
