"""Bootstrap intervals against loops, by hand, and in simulations of how often they cover."""

import numpy as np
import pytest
import reference
import scipy.sparse

from sss_lib import intervals, metrics
from sss_lib.evaluation import resampling


def per_query_of(scores, labels):
    """Queries of one class each, with given AP@1, and the micro queries with the same."""
    scores, labels = np.asarray(scores, float), np.asarray(labels)
    n = len(scores)
    ones = np.ones(n, int)
    class_wise = metrics.PerQuery(np.arange(n), labels, ones, {1: scores}, ones)
    return class_wise, metrics.PerQuery(np.arange(n), -ones, ones, {1: scores}, ones)


def interval(table, level, name="all", metric="MAP"):
    row = table[(table["level"] == level) & (table["name"] == name) & (table["metric"] == metric)]
    return row["ci_low"].item(), row["ci_high"].item()


def test_ends_stay_where_scores_can_be():
    table = intervals.bootstrap_intervals(*per_query_of([0.0, 1.0], [0, 0]), ["a"])
    assert interval(table, "macro") == (0, 1)
    assert interval(table, "macro", metric="MR1") == (1, 1)


def plain_macro(of_class, groups, drawn):
    """Macro mean of one draw by a loop: each class spread by sqrt(g / (g - 1)), or kept if it is missed."""
    means = []
    for queries in of_class:
        units = {groups[q] for q, _ in queries}
        own = [s for unit in drawn for q, s in queries if groups[q] == unit]
        observed = np.mean([s for _, s in queries])
        spread = np.sqrt(len(units) / (len(units) - 1)) if len(units) > 1 else 1
        means.append(observed + spread * (np.mean(own) - observed) if own else observed)
    return np.mean(means)


@pytest.mark.parametrize("by_group", [False, True])
def test_draws_equal_a_loop_that_evaluates_each_of_them(by_group):
    rng = np.random.default_rng(1)
    _, has_label, labels, families = reference.random_multilabel(rng, 30, 6, 3)
    class_wise, micro = metrics.per_query(
        rng.normal(size=(30, 3)), scipy.sparse.csr_array(has_label), cutoffs=(5,)
    )
    groups = np.arange(30) // 3 if by_group else np.arange(30)
    table = intervals.bootstrap_intervals(
        class_wise, micro, labels, families, n_draws=50, groups=groups if by_group else None
    )
    ap = class_wise.scores("standard")["MAP", 5]
    queries = list(zip(class_wise.query.tolist(), class_wise.label.tolist(), ap.tolist(), strict=True))
    of_class = [[(q, s) for q, c, s in queries if c == label and np.isfinite(s)] for label in range(6)]
    of_class = [own for own in of_class if own]
    units = np.unique(groups[micro.query])
    draws = np.random.default_rng(0)
    macro = [
        plain_macro(of_class, groups, units[draws.integers(len(units), size=len(units))]) for _ in range(50)
    ]
    assert interval(table, "macro") == pytest.approx(tuple(np.percentile(macro, [2.5, 97.5])), abs=1e-6)


def coverage(sizes, true_means, *, n_trials=300, similar=0.0, group_size=1, by_group=False):
    """How often the macro interval holds the true mean; scores in a group correlate by `similar`."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    groups = np.arange(len(labels)) // group_size
    names = [str(c) for c in range(len(sizes))]
    covered = 0
    for seed in range(n_trials):
        shared, own = rng.normal(size=groups.max() + 1)[groups], rng.normal(size=len(labels))
        scores = true_means[labels] + 0.1 * (similar**0.5 * shared + (1 - similar) ** 0.5 * own)
        table = intervals.bootstrap_intervals(
            *per_query_of(scores, labels), names, n_draws=300, groups=groups if by_group else None, seed=seed
        )
        low, high = interval(table, "macro")
        covered += low <= true_means.mean() <= high
    return covered / n_trials


# Three hundred trials have a standard error of 0.013 at 0.95.
@pytest.mark.simulation
def test_the_macro_interval_covers_as_often_as_it_says_even_with_small_classes():
    sizes = np.array([2] * 14 + [3] * 10 + [4] * 8 + [8] * 6 + [20] * 3 + [100])
    true_means = np.where(sizes < 5, 0.3, 0.6)  # small classes are harder: dropping one would shift the mean
    assert 0.91 <= coverage(sizes, true_means) <= 0.985


@pytest.mark.simulation
def test_with_alike_clips_only_the_interval_by_group_covers():
    sizes, true_means = np.full(10, 30), np.linspace(0.3, 0.7, 10)
    clustered = {"similar": 0.6, "group_size": 5}
    assert coverage(sizes, true_means, **clustered) < 0.85
    assert 0.91 <= coverage(sizes, true_means, by_group=True, **clustered) <= 0.985


def test_a_class_by_one_uploader_has_no_interval_over_uploaders():
    queries = per_query_of([0.1, 0.9, 0.2, 0.4], [0, 0, 1, 1])
    table = intervals.bootstrap_intervals(*queries, ["a", "b"], groups=np.array([0, 0, 1, 2]))
    assert np.isnan(interval(table, "class", "a")).all()
    assert np.isfinite(interval(table, "class", "b")).all()


def uploaders_of(n_uploaders, rng, clips_each=4):
    """Scores about 0.5, classes and groups: each class by so many uploaders of its own, who do unlike."""
    per_unit = np.repeat(np.arange(len(n_uploaders)), n_uploaders)
    effects = 0.1 * rng.normal(size=len(per_unit))
    groups = np.repeat(np.arange(len(per_unit)), clips_each)
    return 0.5 + effects[groups] + 0.03 * rng.normal(size=len(groups)), per_unit[groups], groups


@pytest.mark.simulation
@pytest.mark.parametrize("n_uploaders", [[1, 2, 3] * 6, [1] * 12 + [2] * 5 + [3] * 4])
def test_macro_intervals_over_uploaders_cover_though_many_classes_have_one(n_uploaders):
    rng = np.random.default_rng(9)
    covered = 0
    for seed in range(300):
        scores, labels, groups = uploaders_of(n_uploaders, rng)
        names = [str(c) for c in range(len(n_uploaders))]
        table = intervals.bootstrap_intervals(
            *per_query_of(scores, labels), names, groups=groups, n_draws=300, seed=seed
        )
        low, high = interval(table, "macro")
        covered += low <= 0.5 <= high
    assert 0.9 <= covered / 300 <= 0.985


def test_a_class_by_one_uploader_borrows_the_spread_of_the_others_by_hand():
    """Classes 0 and 1 by uploaders who are 0.1 off: variance 0.02 each; classes 2 and 3 by one uploader."""
    scores, labels = [0.4, 0.6, 0.4, 0.6, 0.5, 0.5], [0, 0, 1, 1, 2, 3]
    class_wise, micro = per_query_of(scores, labels)
    design = resampling.Design(class_wise, micro, list("abcd"), None, np.array([0, 1, 2, 3, 4, 4]))
    means = resampling.Means(design, np.array(scores * 2))
    borrowed = dict(zip(design.levels, means.borrowed, strict=True))
    assert borrowed["macro", "all"] == pytest.approx(0.02 * (2 / 4) ** 2)
    assert borrowed["class", "a"] == borrowed["micro", "all"] == 0
    drawn = means.drawn(design.drawn_weights(2000, 0))[design.levels.index(("macro", "all"))]
    own = resampling.Means(design, np.array(scores[:4] + [np.nan, np.nan] + scores))  # classes 0 and 1 alone
    of_own = own.drawn(design.drawn_weights(2000, 0))[design.levels.index(("macro", "all"))]
    assert drawn.var() == pytest.approx(of_own.var() / 4 + 0.02 * (2 / 4) ** 2, rel=1e-3)


def test_where_nearly_all_classes_are_by_one_uploader_no_macro_interval_is_told():
    for n_uploaders, told in (([1] * 4 + [2], False), ([1] * 3 + [2], True)):
        scores, labels, groups = uploaders_of(n_uploaders, np.random.default_rng(10))
        names = [str(c) for c in range(len(n_uploaders))]
        table = intervals.bootstrap_intervals(*per_query_of(scores, labels), names, groups=groups)
        assert np.isfinite(interval(table, "macro")).all() == told


def test_every_score_has_an_interval_that_holds_for_its_level():
    rng = np.random.default_rng(4)
    x, has_label, labels, families = reference.random_multilabel(rng, 60, 6, 3)
    class_wise, micro = metrics.per_query(x, scipy.sparse.csr_array(has_label), cutoffs=(5,))
    for protocol in metrics.PROTOCOLS:
        values = metrics.summarise(class_wise, micro, labels, families, protocol=protocol)
        found = intervals.bootstrap_intervals(class_wise, micro, labels, families, protocol=protocol)
        keys = ["metric", "n", "level", "name"]
        both = values.merge(found, on=keys, validate="one_to_one")
        assert len(both) == len(values) == len(found)
        alone = both["n_queries"] == 1  # a class of one clip: by the paper's protocol its score is 0
        assert both.loc[alone, "ci_low"].isna().all()
        assert (both["ci_low"] <= both["ci_high"])[~alone].all()
        inside = both["value"].between(both["ci_low"] - 1e-6, both["ci_high"] + 1e-6)
        assert inside[both["level"].isin(["macro", "micro"])].all()


@pytest.mark.parametrize(("option", "value"), [("confidence", 95), ("n_draws", 1)])
def test_options_without_sense_are_refused(option, value):
    with pytest.raises(ValueError, match=f"{option}={value}"):
        intervals.bootstrap_intervals(*per_query_of([0.5], [0]), ["a"], **{option: value})


def test_a_summary_has_the_intervals_over_clips_and_those_over_groups():
    queries, labels = per_query_of(np.random.default_rng(12).random(12), [0] * 6 + [1] * 6), ["a", "b"]
    groups = np.arange(12) // 3
    table = intervals.summary(*queries, labels, groups=groups)
    by_clip, by_group = (
        intervals.bootstrap_intervals(*queries, labels, groups=own) for own in (None, groups)
    )
    for end in ("ci_low", "ci_high"):
        np.testing.assert_array_equal(table[end], by_clip[end])
        np.testing.assert_array_equal(table[f"group_{end}"], by_group[end])
    assert not np.allclose(by_clip["ci_low"], by_group["ci_low"])


@pytest.mark.simulation
@pytest.mark.parametrize(("metric", "truth"), [("MAP", 0.5), ("MR1", 4)])
def test_intervals_of_a_class_of_ten_cover_nine_times_in_ten_and_those_of_a_macro_mean_more(metric, truth):
    """AP is normal about 0.5, R1 geometric of mean 4; twenty classes of ten clips."""
    rng, labels = np.random.default_rng(13), np.repeat(np.arange(20), 10)
    covered = {"class": [], "macro": []}
    for seed in range(100):
        ones = np.ones(200, int)
        own = {1: 0.5 + 0.1 * rng.normal(size=200)}, rng.geometric(1 / truth if truth > 1 else 0.5, 200)
        kinds = (metrics.PerQuery(np.arange(200), which, ones, *own) for which in (labels, -ones))
        table = intervals.bootstrap_intervals(*kinds, [str(c) for c in range(20)], n_draws=300, seed=seed)
        for level, held in covered.items():
            rows = table[(table["metric"] == metric) & (table["level"] == level)]
            held += ((rows["ci_low"] <= truth) & (truth <= rows["ci_high"])).tolist()
    assert 0.86 <= np.mean(covered["class"]) <= 0.95
    assert np.mean(covered["macro"]) >= 0.88  # a hundred trials: standard error 0.022
