import numpy as np
import pytest
import reference
import scipy.sparse

from sss_lib import metrics, statistics


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


def test_equal_queries_leave_nothing_to_chance():
    table = statistics.bootstrap_intervals(*per_query_of([0.5] * 20, [0] * 20), ["a"])
    assert interval(table, "macro") == interval(table, "micro") == (0.5, 0.5)


def test_one_class_has_the_interval_of_a_mean():
    scores = np.random.default_rng(0).random(400)
    low, high = interval(statistics.bootstrap_intervals(*per_query_of(scores, [0] * 400), ["a"]), "micro")
    error = 1.96 * scores.std() / np.sqrt(400)
    assert low == pytest.approx(scores.mean() - error, abs=0.006)
    assert high == pytest.approx(scores.mean() + error, abs=0.006)


def test_draws_equal_a_loop_that_evaluates_each_of_them():
    """The same draws, each class's mean and the macro mean taken by a plain loop."""
    rng = np.random.default_rng(1)
    _, has_label, labels, families = reference.random_multilabel(rng, 30, 6, 3)
    class_wise, micro = metrics.per_query(
        rng.normal(size=(30, 3)), scipy.sparse.csr_array(has_label), cutoffs=(5,)
    )
    table = statistics.bootstrap_intervals(class_wise, micro, labels, families, n_draws=50)
    n_clips = int(micro.query.max()) + 1
    weights = statistics._draws(np.unique(micro.query), n_clips, 50, 0)
    ap = class_wise.scores("standard")["MAP", 5]
    macro = []
    for w in weights.T:
        means = []
        for c in range(len(labels)):
            drawn = [
                (w[q], s)
                for q, c2, s in zip(class_wise.query, class_wise.label, ap, strict=True)
                if c2 == c and w[q] > 0 and np.isfinite(s)
            ]
            if drawn:
                means.append(sum(k * s for k, s in drawn) / sum(k for k, _ in drawn))
        macro.append(np.mean(means))
    assert interval(table, "macro") == pytest.approx(tuple(np.percentile(macro, [2.5, 97.5])), abs=1e-6)


def test_intervals_repeat_with_the_seed_and_move_without_it():
    queries = per_query_of(np.random.default_rng(2).random(50), [0] * 50)
    first, again, other = (statistics.bootstrap_intervals(*queries, ["a"], seed=seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        low, high = interval(
            statistics.bootstrap_intervals(*per_query_of(rng.random(60), [0] * 60), ["a"], n_draws=300),
            "micro",
        )
        covered += low <= 0.5 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_every_score_has_an_interval_that_holds_for_its_level():
    rng = np.random.default_rng(4)
    x, has_label, labels, families = reference.random_multilabel(rng, 60, 6, 3)
    class_wise, micro = metrics.per_query(x, scipy.sparse.csr_array(has_label), cutoffs=(5,))
    for protocol in metrics.PROTOCOLS:
        values = metrics.summarise(class_wise, micro, labels, families, protocol=protocol)
        intervals = statistics.bootstrap_intervals(class_wise, micro, labels, families, protocol=protocol)
        keys = ["metric", "n", "level", "name"]
        both = values.merge(intervals, on=keys, validate="one_to_one")
        assert len(both) == len(values) == len(intervals)
        assert (both["ci_low"] <= both["ci_high"]).all()
        inside = both["value"].between(both["ci_low"] - 1e-6, both["ci_high"] + 1e-6)
        assert inside[both["level"].isin(["macro", "micro"])].all()


@pytest.mark.parametrize(("option", "value"), [("confidence", 95), ("n_draws", 1)])
def test_options_without_sense_are_refused(option, value):
    with pytest.raises(ValueError, match=f"{option}={value}"):
        statistics.bootstrap_intervals(*per_query_of([0.5], [0]), ["a"], **{option: value})
