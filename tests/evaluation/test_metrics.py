import itertools

import numpy as np
import pandas as pd
import pytest
import reference
import scipy.sparse

from sss_lib import bounds, intervals, metrics, relevance
from sss_lib.evaluation.measures import first_relevant_rank
from sss_lib.search import Ranking, rank


def table(rows):
    """Scores by (metric, n, level, name), of the library's or the reference's rows."""
    rows = rows.to_dict("records") if isinstance(rows, pd.DataFrame) else rows
    key = ("metric", "n", "level", "name")
    none = {"n": None}
    return {tuple((r | none if pd.isna(r["n"]) else r)[k] for k in key): r for r in rows}


@pytest.mark.parametrize("protocol", metrics.PROTOCOLS)
@pytest.mark.parametrize(("search", "seed"), itertools.product(("nns", "mips", "mcss"), range(4)))
def test_scores_equal_the_slow_reference(protocol, search, seed):
    rng = np.random.default_rng(seed)
    x, has_label, labels, families = reference.random_multilabel(rng, int(rng.integers(6, 60)), 8, 3)
    x = x.astype(np.float32)
    if seed % 2 and search != "mcss":  # ties, and clips that are equal
        x = np.round(x)
    has_label[:, 6] = has_label[:, 2]  # two classes of the same clips, or three
    has_label[:, 4] = has_label[:, 2] if seed > 1 else has_label[:, 4]
    arguments = labels, families, search, (1, 3, 15, 100), protocol
    fast = table(metrics.evaluate(x, scipy.sparse.csr_array(has_label), *arguments))
    slow = table(reference.evaluate(x, has_label, *arguments))
    assert fast.keys() == slow.keys()
    for key, row in slow.items():
        assert fast[key]["value"] == pytest.approx(row["value"], abs=1e-12), key
        assert (fast[key]["n_queries"], fast[key]["n_skipped"]) == (row["n_queries"], row["n_skipped"]), key


@pytest.mark.parametrize(
    ("hits", "n_relevant", "n", "expected"),
    [
        ([1, 1, 0, 0], 2, 4, 1.0),  # all hits lead
        ([0, 0, 0, 0], 2, 4, 0.0),
        ([1, 0, 1, 0], 2, 4, (1 / 1 + 2 / 3) / 2),
        ([0, 1, 0, 1], 3, 4, (1 / 2 + 2 / 4) / 3),
        ([0, 1, 0, 1], 2, 3, (1 / 2) / 2),  # the hit beyond the cutoff doesn't count
        ([0, 1], 2, 15, (1 / 2) / 2),  # fewer results than the cutoff
    ],
)
def test_average_precision_by_hand(hits, n_relevant, n, expected):
    hits = np.array([hits], bool)
    assert metrics.average_precision(hits, np.array([n_relevant]), n) == pytest.approx(expected)


def test_protocols_by_hand():
    """Clips 0, 1, 2 on a line are of one class, clip 3 far off is alone; clip 0 finds 1, 2, 3."""
    x = np.array([[0.0], [1.0], [2.1], [9.0]])
    has_label = scipy.sparse.csr_array([[1, 0], [1, 0], [1, 0], [0, 1]], dtype=bool)
    of = {
        p: table(metrics.evaluate(x, has_label, ["a", "b"], cutoffs=(15,), protocol=p))
        for p in metrics.PROTOCOLS
    }
    # Every query of class a finds both others at once: AP = 1, but 2 / 3 where the query is counted in n_c.
    assert of["standard"]["MAP", 15, "class", "a"]["value"] == 1
    assert of["paper"]["MAP", 15, "class", "a"]["value"] == pytest.approx(2 / 3)
    assert of["paper"]["MAP", 15, "micro", "all"]["value"] == pytest.approx(3 / 4 * 2 / 15)  # clip 3 has 0
    assert of["standard"]["MR1", None, "macro", "all"]["value"] == 1
    assert of["paper"]["MR1", None, "macro", "all"]["value"] == 0
    # Class b has one clip: no row of its own, and counted as skipped.
    assert ("MAP", 15, "class", "b") not in of["standard"]
    assert of["standard"]["MAP", 15, "macro", "all"]["n_skipped"] == 1


@pytest.mark.parametrize(
    ("n_relevant", "n_corpus", "n"), [(1, 2, 15), (2, 6, 3), (3, 7, 7), (5, 5, 4), (1, 1, 1)]
)
def test_expected_precision_equals_the_mean_over_all_orders(n_relevant, n_corpus, n):
    expected = reference.chance_average_precision(n_relevant, n_corpus, n, 1)
    counts = np.array([n_relevant]), np.array([n_corpus])
    assert bounds.expected_precision_sum(*counts, n) == pytest.approx(expected)


def test_queries_table_has_each_query_once_a_protocol():
    x, has_label, labels, _ = reference.random_multilabel(np.random.default_rng(8), 30, 6, 3)
    has_label = scipy.sparse.csr_array(has_label)
    class_wise, micro = metrics.per_query(x, has_label, cutoffs=(5,))
    queries = metrics.queries_table(class_wise, micro, [f"clip{i}" for i in range(30)], labels)
    assert not queries.duplicated(["protocol", "level", "fname", "label"]).any()
    of_class = queries[(queries["protocol"] == "standard") & (queries["level"] == "class")]
    expected = metrics.summarise(class_wise, micro, labels)
    means = of_class.groupby("label")["AP@5"].mean().dropna()
    rows = expected[(expected["metric"] == "MAP") & (expected["level"] == "class")].set_index("name")["value"]
    pd.testing.assert_series_equal(means, rows, check_names=False)


def test_a_first_hit_beyond_a_given_ranking_is_not_before_its_end():
    """All clips are equal, and a ranking from elsewhere has them backwards: by row order clip 1 is first."""
    has_label = np.array([[1], [1], [0], [0], [0]], bool)
    neighbours = np.array([[i for i in range(4, -1, -1) if i != q][:2] for q in range(5)], np.int32)
    ranking = Ranking(neighbours, np.zeros((5, 2), np.float32))
    class_wise, micro = metrics.per_query(np.zeros((5, 1)), has_label, cutoffs=(2,), ranking=ranking)
    assert class_wise.first_rank.tolist() == micro.first_rank.tolist() == [3, 3]


def hit_rate(hits, n_relevant, n):
    """Whether anything relevant is among the first n; nan would be seen where nothing is relevant."""
    return np.where(n_relevant > 0, hits[:, :n].any(axis=1), np.nan)


def test_a_further_measure_has_means_and_intervals_as_the_others():
    rng = np.random.default_rng(9)
    x, has_label, labels, families = reference.random_multilabel(rng, 40, 6, 3)
    ways = {"cutoffs": (1, 5), "measures": {"hit rate": hit_rate}}
    results = metrics.per_query(x, has_label, **ways, at_a_time=(7, 9))
    neighbours = rank(x, top_n=5).neighbours
    for queries in results:
        for n in (1, 5):
            found = queries.scores("standard")["hit rate", n]
            for q, c, r, value in zip(queries.query, queries.label, queries.n_relevant, found, strict=True):
                own = has_label[q] if c < 0 else np.arange(6) == c
                expected = (has_label[neighbours[q, :n]] & own).any() if r else np.nan
                np.testing.assert_equal(value, float(expected))
    table = metrics.evaluate(x, has_label, labels, families, **ways)
    assert (table["metric"] == "hit rate").sum() == (table["metric"] == "MAP").sum()
    ends = intervals.bootstrap_intervals(*results, labels, families, n_draws=50)
    assert len(ends) == len(table)
    with pytest.raises(ValueError, match="hit rate: graded relevance is scored by NDCG alone"):
        metrics.evaluate(x, has_label, labels, relevant="graded", **ways)


def test_without_a_result_nothing_is_found():
    nothing, one = np.zeros((2, 0), bool), np.ones(2, int)
    assert (
        first_relevant_rank(nothing).tolist() == metrics.average_precision(nothing, one, 5).tolist() == [0, 0]
    )
    assert metrics.evaluate(np.ones((1, 2)), np.zeros((1, 1), bool), ["a"]).empty


@pytest.mark.parametrize("measure", [metrics.average_precision, metrics.ndcg])
def test_a_cutoff_below_one_is_refused(measure):
    with pytest.raises(ValueError, match="n=0 is below 1"):
        measure(np.ones((1, 3), bool), np.array([1]), 0)


@pytest.mark.parametrize(
    ("n_labelled", "labels", "options", "message"),
    [
        (8, ["a"], {}, "9 embeddings don't match 8 labelled clips"),
        (9, ["a", "b", "c"], {}, "3 labels don't name the 1 columns"),
        (9, ["a"], {"protocol": "trec"}, "protocol 'trec' is unknown: use one of standard, paper"),
        (9, ["a"], {"ranking": rank(np.eye(9), top_n=3)}, "cutoff 5: rank them again with top_n=5"),
        (9, ["a"], {"ranking": rank(np.eye(8), top_n=5)}, "doesn't serve 9 clips"),
        (9, ["a"], {"cutoffs": (0, 5)}, r"cutoffs=\(0, 5\): give at least one, none below 1"),
        (9, ["a"], {"cutoffs": ("15",)}, r"cutoffs=\('15',\): give whole numbers from 1 to 2,147,483,647"),
        (9, ["a"], {"cutoffs": (5, 1.5)}, r"cutoffs=\(5, 1.5\): give whole numbers"),
        (9, ["a"], {"cutoffs": (10**20,)}, r"cutoffs=\(10{20},\): give whole numbers"),
    ],
)
def test_what_doesnt_fit_is_refused(n_labelled, labels, options, message):
    has_label = scipy.sparse.csr_array(np.ones((n_labelled, 1), bool))
    with pytest.raises(ValueError, match=message):
        metrics.evaluate(np.eye(9), has_label, labels, **{"cutoffs": (5,), **options})


@pytest.mark.parametrize("relevant", ["class", "any"])
def test_a_given_ranking_that_ends_before_a_cutoff_is_counted(relevant):
    """Rows are the own number, three results, three scores: 0 has two results, 1 all, 2 none, 3 all."""
    x = np.zeros((4, 7))
    x[:, 0] = range(4)
    x[:, 1:4] = [[1, 2, -1], [0, 2, 3], [-1, -1, -1], [2, 1, 0]]
    has = scipy.sparse.csr_array(np.array([[1, 0], [1, 0], [0, 1], [0, 1]], bool))
    found = metrics.evaluate(x, has, ["a", "b"], search="given", cutoffs=(1, 2, 3), relevant=relevant)
    of = found[found["metric"] == "MAP"].set_index(["level", "name", "n"])["n_short"]
    assert [of["macro", "all", n] for n in (1, 2, 3)] == [1, 1, 2]
    assert [of["micro", "all", n] for n in (1, 2, 3)] == [1, 1, 2]
    assert [of["class", name, 3] for name in "ab"] == [1, 1]
    whole = metrics.evaluate(x, has, ["a", "b"], search="nns", cutoffs=(1, 3), relevant=relevant)
    assert "n_short" not in whole
    groups = relevance.Relevance(groups=np.array([0, 1, 1, 2]))  # the most that 1 can have are two
    x[1, 1:4] = [0, 3, -1]
    own = metrics.evaluate(x, has, ["a", "b"], search="given", cutoffs=(3,), relevant=groups)
    assert own.set_index(["metric", "level"]).loc[("MAP", "micro"), "n_short"] == 2
