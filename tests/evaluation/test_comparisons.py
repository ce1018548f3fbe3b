"""Differences, losses and rank stability of systems, against loops and by hand."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import reference
import scipy.sparse
from test_intervals import per_query_of

from sss_lib import comparisons, intervals, metrics, paired, relevance


def two_systems(seed=8, n=60):
    """Per-query results of two embeddings of the same clips, one of them of the classes themselves."""
    rng = np.random.default_rng(seed)
    _, has_label, labels, families = reference.random_multilabel(rng, n, 6, 3)
    has_label = scipy.sparse.csr_array(has_label)
    good = has_label.toarray() + 0.4 * rng.normal(size=has_label.shape)
    both = [metrics.per_query(x, has_label, cutoffs=(5,)) for x in (good, rng.normal(size=(n, 3)))]
    return *both, labels, families


def test_comparing_gives_the_difference_of_every_mean():
    a, b, labels, families = two_systems()
    table = comparisons.compare(a, b, labels, families, n_draws=200)
    of_a, of_b = (metrics.summarise(*queries, labels, families) for queries in (a, b))
    keys = ["metric", "n", "level", "name"]
    both = of_a.merge(of_b, on=keys, suffixes=("_a", "_b")).merge(table, on=keys, validate="one_to_one")
    assert len(both) == len(of_a) == len(table)
    np.testing.assert_allclose(both["value_a"], both["a"])
    np.testing.assert_allclose(both["value_a"] - both["value_b"], both["difference"])
    macro = table[(table["metric"] == "MAP") & (table["level"] == "macro")].iloc[0]
    assert macro["ci_low"] > 0
    assert macro["p"] < 0.01
    assert macro["p_bootstrap"] < 0.01


@pytest.mark.parametrize("only", [("MAP", 5), ("MR1", None), ("MAP", 7)])
def test_comparing_only_one_metric_gives_its_rows(only):
    a, b, labels, families = two_systems()
    table = comparisons.compare(a, b, labels, families, n_draws=50)
    own = (table["metric"] == only[0]) & (table["n"].isna() if only[1] is None else table["n"] == only[1])
    found = comparisons.compare(a, b, labels, families, only=only, n_draws=50)
    assert found.to_dict("list") == table[own.fillna(False)].to_dict("list")


def test_a_macro_permutation_turns_all_queries_of_a_clip_together():
    a, b, labels, families = two_systems(n=10)
    table = comparisons.compare(a, b, labels, families, n_draws=5000)
    (p,) = table.loc[(table["metric"] == "MAP") & (table["level"] == "macro"), "p"]
    gap = a[0].scores("standard")["MAP", 5] - b[0].scores("standard")["MAP", 5]
    clips = np.unique(a[1].query)
    assert 2 ** len(clips) <= 5000  # so that every way is tried

    def macro(signs):
        turned = gap * signs[np.searchsorted(clips, a[0].query)]
        of_class = [turned[(a[0].label == c) & np.isfinite(turned)] for c in range(len(labels))]
        return np.mean([own.mean() for own in of_class if len(own)])

    signs = np.array(list(itertools.product((1, -1), repeat=len(clips))))
    totals = np.array([macro(row) for row in signs])
    assert p == np.mean(np.abs(totals) >= abs(totals[0]) - 1e-9)


def test_the_leaderboard_is_sorted_and_says_how_stable_it_is():
    a, b, labels, _ = two_systems()
    systems = {"random": b, "good": a, "again": a}
    for metric, n in (("MAP", 5), ("MR1", None)):
        board = comparisons.rank_stability(systems, labels, metric=metric, n=n, n_draws=200)
        assert board["system"].tolist() == ["good", "again", "random"]
        assert board["rank"].tolist() == [1, 1, 3]
        assert board["share_first"][0] == board["share_first"][1] > 0.95
        assert board["rank_low"].tolist()[2] == 3
        assert np.isnan(board["p_holm"][0])
        assert board["p_holm"][1] == 1
        assert board["p_holm"][2] == pytest.approx(2 * board["p"][2])


def test_a_loss_is_over_the_queries_that_have_an_answer_by_both_rules():
    """Class 0 is of one uploader, and can't be queried without them; of class 1 each clip has another."""
    x = np.array([[0.0], [0.1], [5.0], [6.0], [5.1], [9.0]])
    has_label = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [0, 0]], bool)
    rule = relevance.Relevance(groups=np.array([0, 0, 1, 2, 1, 3]), excluded="uploader")
    both = [metrics.per_query(x, has_label, cutoffs=(2,), relevant=r) for r in (None, rule)]
    (row,) = comparisons.losses({"a": both}, ["a", "b"], n=2, n_draws=100).to_dict("records")
    # Clips 2 and 4 find each other, then clip 3: both at once. Without each other clip 3 is first: still 1.
    assert (row["class"], row["class without uploader"], row["loss"]) == (1, 1, 0)
    x[5] = 5.5  # an unlabelled clip comes between
    both = [metrics.per_query(x, has_label, cutoffs=(1,), relevant=r) for r in (None, rule)]
    (row,) = comparisons.losses({"a": both}, ["a", "b"], n=1, n_draws=100).to_dict("records")
    assert (row["class"], row["class without uploader"]) == pytest.approx((2 / 3, 0))
    assert row["loss"] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="a has no one score with metric='MAP', n=9"):
        comparisons.losses({"a": both}, ["a", "b"], n=9, n_draws=100)


def test_systems_of_other_queries_are_refused():
    a, _, labels, families = two_systems()
    other, *_ = two_systems(n=50)
    with pytest.raises(ValueError, match="queries are not paired"):
        comparisons.compare(a, other, labels, families)
    with pytest.raises(ValueError, match="metric='MAP', n=7 was not scored: use one of"):
        comparisons.rank_stability({"a": a}, labels, n=7)
    with pytest.raises(ValueError, match="level 'class' has no ranking of systems"):
        comparisons.rank_stability({"a": a}, labels, n=5, level="class")
    with pytest.raises(ValueError, match="3 groups don't cover clip"):
        intervals.bootstrap_intervals(*a, labels, groups=np.zeros(3, int))


def test_comparing_says_nothing_of_a_class_by_one_uploader():
    a, b = (per_query_of(scores, [0, 0, 1, 1]) for scores in ([0.9, 0.8, 0.7, 0.6], [0.1, 0.0, 0.2, 0.3]))
    table = comparisons.compare(a, b, ["a", "b"], groups=np.array([0, 0, 1, 2]), n_draws=200)
    table = table[(table["metric"] == "MAP") & (table["level"] == "class")].set_index("name")
    columns = ["ci_low", "ci_high", "p_bootstrap"]
    assert table.loc["a", columns].isna().all()
    assert table.loc["b", columns].notna().all()
    assert table.loc["a", "p"] == 1


GROUPED = np.array([0, 0, 1, 1])
"""Two uploaders of two clips each."""


def half_better():
    """Two systems on four queries of a class: the first is better by 1 everywhere, with p of 2/16 or 2/4."""
    return per_query_of([1.0] * 4, [0] * 4), per_query_of([0.0] * 4, [0] * 4)


def test_comparisons_turn_and_draw_groups_by_hand():
    a, b = half_better()
    for groups, p in ((None, 2 / 16), (GROUPED, 2 / 4)):
        table = comparisons.compare(a, b, ["a"], groups=groups)
        assert (table.loc[table["metric"] == "MAP", "p"] == p).all()
        board = comparisons.rank_stability({"a": a, "b": b}, ["a"], n=1, groups=groups)
        assert board["p"][1] == board["p_holm"][1] == p
        other = tuple(replace(queries, relevance="other") for queries in b)
        (loss,) = comparisons.losses({"x": (a, other)}, ["a"], n=1, groups=groups).to_dict("records")
        assert loss["p"] == p
    # Two units of 0 and 1: draws are 0, 1/2 and 1, spread about 1/2 by sqrt(2 / 1); of four, by sqrt(4 / 3).
    scores, nothing, one = np.array([0.0, 0, 1, 1]), np.zeros(4), np.zeros(4, int)
    found = paired.macro_difference(scores, nothing, one, np.arange(4), groups=GROUPED)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.5 - 0.5**0.5, 0.5 + 0.5**0.5), abs=1e-6)
    alone = paired.macro_difference(scores, nothing, one, np.arange(4))
    assert (alone.ci_low, alone.ci_high) == pytest.approx((0.5 - 3**-0.5, 0.5 + 3**-0.5), abs=1e-6)


def test_no_loss_is_told_where_no_query_has_an_answer_by_both_rules():
    has_label, rule = np.ones((3, 1), bool), relevance.Relevance(groups=np.zeros(3, int), excluded="uploader")
    both = [metrics.per_query(np.eye(3), has_label, cutoffs=(2,), relevant=r) for r in (None, rule)]
    table = comparisons.losses({"a": both}, ["a"], n=2, n_draws=100)
    assert table.drop(columns="system").isna().all(axis=None)


def test_the_agreement_of_two_orders_is_kendalls_tau_of_all_draws():
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(6, 201)).round(1), rng.normal(size=(6, 201)).round(1)
    found = comparisons.rank_agreement(one, other)
    taus = [scipy.stats.kendalltau(a, b).statistic for a, b in zip(one.T, other.T, strict=True)]
    assert found.tau == pytest.approx(taus[0])
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(np.percentile(taus[1:], [2.5, 97.5])))
    assert np.isnan(comparisons.rank_agreement(np.ones((2, 3)), one[:2, :3]).tau)
    with pytest.raises(ValueError, match=r"draws of shapes \(6, 201\) and \(5, 201\)"):
        comparisons.rank_agreement(one, other[:5])


def test_drawn_scores_have_the_value_and_the_spread_of_the_interval():
    a, b, labels, _ = two_systems()
    drawn = comparisons.drawn_scores({"a": a, "b": b}, labels, n=5, seed=4)
    for of_system, results in zip(drawn, (a, b), strict=True):
        table = intervals.summary(*results, labels, seed=4)
        row = table[(table["metric"] == "MAP") & (table["n"] == 5) & (table["level"] == "macro")].iloc[0]
        assert of_system[0] == pytest.approx(row["value"])
        assert np.percentile(of_system[1:], [2.5, 97.5]) == pytest.approx(
            [row["ci_low"], row["ci_high"]], abs=1e-6
        )
