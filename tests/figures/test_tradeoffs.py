"""Approximate searches beside the exact one: what is saved and lost, worked out by hand and by other code."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

mpl.use("agg")

import matplotlib.pyplot as plt

from sss_lib import measures, metrics, plots, search, tables, timing, tradeoffs

pytest.importorskip("faiss")

CUTOFFS = (5, 20)


def runs(names, n=300):
    """Runs of some searches over clips around a dozen centres, each centre a class and some noise."""
    rng = np.random.default_rng(0)
    of = rng.integers(0, 12, n)
    x = (rng.normal(size=(12, 16))[of] + 0.7 * rng.normal(size=(n, 16))).astype(np.float32)
    labels = scipy.sparse.csr_array(np.eye(12, dtype=bool)[of])
    found = {}
    for name in names:
        _, ranking, cost = timing.rank_members(list(map(str, range(n))), x, name, max(CUTOFFS))
        queries, _ = metrics.per_query(x, labels, search=name, cutoffs=CUTOFFS, ranking=ranking)
        found[name] = tradeoffs.Run(ranking.neighbours, cost.parameters(), queries)
    return x, labels, found


@pytest.fixture(scope="module")
def measured():
    x, labels, found = runs(["mcss-Flat", "nns", "nns-PQ4x4", "nns-Flat", "nns-IVF16-nprobe=1"])
    return x, labels, tradeoffs.against_exact(found, cutoffs=CUTOFFS, n_draws=200).set_index("search")


def test_each_search_stands_under_its_exact_one_if_that_was_run(measured):
    assert measured[2].index.tolist() == ["nns", "nns-PQ4x4", "nns-Flat", "nns-IVF16-nprobe=1"]


def test_the_exact_search_and_one_that_finds_the_same_lose_nothing(measured):
    for name in ("nns", "nns-Flat"):
        row = measured[2].loc[name]
        assert row[["recall@5", "recall@20"]].tolist() == [1, 1]
        assert row[[column for column in row.index if "lost" in column]].tolist() == [0] * 9
    assert measured[2].loc["nns", ["times faster", "times faster alone"]].tolist() == [1, 1]
    assert measured[2].loc["nns", "bytes a clip"] == 64


@pytest.mark.parametrize("name", ["nns-PQ4x4", "nns-IVF16-nprobe=1"])
def test_losses_are_differences_of_the_scores_that_each_has(measured, name):
    x, labels, table = measured
    classes = [str(i) for i in range(12)]
    scores = {one: metrics.evaluate(x, labels, classes, search=one, cutoffs=CUTOFFS) for one in ("nns", name)}
    row = table.loc[name]
    for metric, n, sign in (("MAP", 5, 1), ("MAP", 20, 1), ("MR1", None, -1)):
        exact, own = (tables.select(scores[one], metric, n)["value"].item() for one in ("nns", name))
        column = tables.heading(metric, n)
        assert row[column] == pytest.approx(own)
        assert row[f"{column} lost"] == pytest.approx(sign * (exact - own))
        assert row[f"{column} lost low"] <= row[f"{column} lost"] <= row[f"{column} lost high"]
    found, exact = (search.rank(x, one, 20).neighbours for one in (name, "nns"))
    by_hand = np.mean([len(set(a[:5]) & set(b[:5])) / 5 for a, b in zip(found, exact, strict=True)])
    assert row["recall@5"] == pytest.approx(by_hand)
    assert by_hand == pytest.approx(measures.recall(found, exact, 5).mean())


def test_bytes_and_speed_are_those_of_the_runs(measured):
    table = measured[2]
    assert table.loc["nns-PQ4x4", "bytes a clip"] < 8  # two bytes, and 16 centroids of 16 numbers
    assert 64 < table.loc["nns-Flat", "bytes a clip"] < 66
    for faster, took in (("times faster", "ms a query"), ("times faster alone", "ms alone")):
        assert (table[faster] * table[took]).to_numpy() == pytest.approx(table.loc["nns", took])


@pytest.mark.parametrize("by", ["speed", "size"])
def test_the_figure_has_a_point_for_every_search_where_the_table_says(measured, by):
    table = measured[2].reset_index()
    _, ax = plt.subplots()
    assert plots.search_costs(table, ax, by=by, n=5) is ax
    x, y = {"speed": ("times faster alone", "recall@5"), "size": ("bytes a clip", "MAP@5 lost")}[by]
    labels = [text.split(" (")[0] for text in ax.get_legend_handles_labels()[1]]
    assert labels == table["search"].tolist()
    points = {tuple(line.get_xydata()[0]) for line in ax.lines if line.get_marker() not in ("None", "", None)}
    assert {(row[x], row[y]) for _, row in table.iterrows()} <= points
    plt.close("all")


def test_an_unknown_axis_of_the_figure_is_refused(measured):
    with pytest.raises(ValueError, match="by='price' is unknown: use speed or size"):
        plots.search_costs(measured[2].reset_index(), plt.figure().gca(), by="price")


def test_the_best_system_is_an_exact_one_where_there_is_one():
    system = {"model": "m", "aggregation": "mean", "scale": False, "n_components": 5, "normalize": True}
    system |= {"pre_normalize": False, "metric": "MAP", "n": 15, "level": "macro", "protocol": "standard"}
    system |= {"relevance": "class"}
    values = {"nns-IVF16-nprobe=1": 0.5, "nns": 0.4, "mips": 0.3}
    scores = pd.DataFrame([system | {"search": name, "value": value} for name, value in values.items()])
    assert tables.best_systems(scores)["search"].tolist() == ["nns"]
    assert tables.best_systems(scores[:1])["search"].tolist() == ["nns-IVF16-nprobe=1"]
    assert tables.describe_system(scores.iloc[0]) == "mean, PCA 5, L2, NNS IVF16-nprobe=1"
