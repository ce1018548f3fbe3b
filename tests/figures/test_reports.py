import numpy as np
import pandas as pd
import pytest
import reference

from sss_lib import intervals, metrics, relevance, reports


@pytest.fixture(scope="module")
def run():
    """Two systems' per-query results, and the labels, families and fnames."""
    rng = np.random.default_rng(0)
    x, has_label, labels, families = reference.random_multilabel(rng, 40, 6, 3)
    queries = [metrics.per_query(x[:, :dim], has_label, cutoffs=(5,)) for dim in (3, 1)]
    return queries, labels, families, [f"clip{i}" for i in range(40)]


def test_the_overview_opens_with_the_headline_and_puts_the_best_first(run):
    (queries, _), labels, families, _ = run
    scores = metrics.summarise(*queries, labels, families)
    found = intervals.bootstrap_intervals(*queries, labels, families, n_draws=50)
    scores = scores.merge(found, on=["metric", "n", "level", "name"])
    table = reports.overview(scores)
    assert list(table) == ["level", "name", "queries", "MAP@5", "MR1"]
    assert table["level"].tolist()[:2] == ["macro", "micro"]
    assert list(dict.fromkeys(table["level"])) == ["macro", "micro", "family", "class"]
    classes = table.loc[table["level"] == "class", "MAP@5"].str[:5].astype(float)
    assert classes.is_monotonic_decreasing
    (row,) = scores[(scores["metric"] == "MAP") & (scores["level"] == "macro")].to_dict("records")
    expected = f"{row['value']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]"
    assert table["MAP@5"][0] == expected
    assert table["queries"][0] == row["n_queries"]
    bounded = reports.overview(scores.assign(chance=0.125, ceiling=1.0))
    assert (bounded["MAP@5 chance"] == "0.125").all()
    assert (bounded["MAP@5 ceiling"] == "1.000").all()


def test_the_overview_is_of_one_system(run):
    (queries, _), labels, families, _ = run
    scores = metrics.summarise(*queries, labels, families)
    with pytest.raises(ValueError, match="more than one system"):
        reports.overview(pd.concat([scores, scores]))
    with pytest.raises(ValueError, match=r"no score with protocol=paper, .*; there is") as caught:
        reports.overview(scores, protocol="paper")
    assert "standard" in str(caught.value)


def test_what_could_not_be_scored_is_a_dash_at_the_end_of_the_overview(run):
    (queries, _), labels, families, _ = run
    scores = metrics.summarise(*queries, labels, families).assign(chance=np.nan)
    first = (scores["level"] == "class") & (scores["name"] == labels[0])
    table = reports.overview(scores.assign(value=scores["value"].mask(first)))
    assert table.iloc[-1][["name", "MAP@5", "MR1", "MAP@5 chance"]].tolist() == [labels[0], "-", "-", "-"]
    assert not table.map(lambda cell: "nan" in str(cell)).any(axis=None)


def test_conventions_name_what_each_number_was_divided_by(run):
    (queries, _), labels, families, _ = run
    scores = [metrics.summarise(*queries, labels, families, protocol=p) for p in metrics.PROTOCOLS]
    scores = pd.concat([*scores, scores[0].assign(relevance="leaf")])
    columns = ["protocol", "metric", "relevance", "class, family, macro", "micro"]
    assert reports.conventions(scores)[columns].to_numpy().tolist() == [
        ["standard", "MAP", "class, leaf", "over min(N, R)", "over min(N, R)"],
        ["standard", "MR1", "class, leaf", "ranks from 1", "ranks from 1"],
        ["paper", "MAP", "class", "over min(N, n_c)", "over N"],
        ["paper", "MR1", "class", "ranks from 0", "ranks from 0"],
    ]


def test_protocols_are_set_side_by_side_with_the_reason(run):
    (queries, _), labels, families, _ = run
    scores = pd.concat(metrics.summarise(*queries, labels, families, protocol=p) for p in metrics.PROTOCOLS)
    table = reports.protocol_differences(scores).set_index(["metric", "level"])
    assert table.loc[("MAP", "micro"), "by"] == "over min(N, R) | over N"
    assert table.loc[("MR1", "macro"), "by"] == "ranks from 1 | ranks from 0"
    assert table.loc[("MR1", "macro"), "difference"] == pytest.approx(-1)


def test_each_system_has_its_score_by_every_rule():
    rng = np.random.default_rng(1)
    x, has_label, labels, _ = reference.random_multilabel(rng, 40, 6, 3)
    clips = pd.DataFrame({"uploader": np.arange(40) // 4 % 5})
    parts = []
    for model, dim in (("aisfx", 1), ("logmel", 3)):
        system = {"model": model, "aggregation": "mean", "scale": False, "n_components": pd.NA}
        system |= {"normalize": True, "pre_normalize": False, "search": "nns"}
        for rule in relevance.definitions(labels, clips, "uploader"):
            scores = metrics.evaluate(x[:, :dim], has_label, labels, cutoffs=(5,), relevant=rule)
            parts.append(scores.assign(**system))
    scores = pd.concat(parts, ignore_index=True)
    table = reports.by_relevance(scores, 5)
    assert {"class", "leaf", "any", "graded", "class without uploader"} <= set(table)
    assert table["class"].is_monotonic_decreasing
    bounded = reports.by_relevance(scores.assign(chance=0.1, ceiling=0.9), 5)
    assert bounded["model"].tolist() == ["Ceiling (labels)", *table["model"], "Chance (expected)"]
    assert (bounded.loc[0, ["class", "graded"]] == 0.9).all()
    pd.testing.assert_frame_equal(bounded.iloc[1:3].reset_index(drop=True), table, check_dtype=False)


def test_disagreements_are_sorted_by_their_gap(run):
    (a, b), labels, _, fnames = run
    for level in ("class", "micro"):
        table = reports.disagreements(a, b, fnames, labels, n=5, level=level)
        assert table["gap"].abs().is_monotonic_decreasing
        np.testing.assert_allclose(table["gap"], table["a"] - table["b"])
        kind = a[level == "micro"]
        assert len(table) == np.isfinite(kind.scores("standard")["MAP", 5]).sum()
    row = table.iloc[0]
    at = a[1].query.tolist().index(fnames.index(row["fname"]))
    assert row["a"] == a[1].scores("standard")["MAP", 5][at]
    ranks = reports.disagreements(a, b, fnames, labels, metric="MR1", n=None)
    assert ranks["a"].min() >= 1
    with pytest.raises(ValueError, match="level 'macro' has no queries"):
        reports.disagreements(a, b, fnames, labels, n=5, level="macro")
    with pytest.raises(ValueError, match="metric='MAP', n=15 was not scored"):
        reports.disagreements(a, b, fnames, labels)


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
    fewer = metrics.read_queries(table, fnames[:10], labels)
    assert fewer[1].query.max() < 10
    there = table["label"].max()
    with pytest.raises(ValueError, match=f"queries of class '{there}', which is not among the 5 labels"):
        metrics.read_queries(table, fnames, [label for label in labels if label != there])
