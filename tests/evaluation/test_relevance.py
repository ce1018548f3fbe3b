"""What counts for a query, by every rule, against the slow reference and by hand."""

import numpy as np
import pandas as pd
import pytest
import reference
import scipy.sparse
from test_metrics import table

from sss_lib import metrics, relevance
from sss_lib.search import rank

PARENTS = {"Animal": [], "Dog": ["Animal"], "Bark": ["Dog"], "Cat": ["Animal"], "Rain": []}


def collection(seed, n_clips=40):
    """Random embeddings and labels with ancestors; a third of the clips have no known uploader."""
    rng = np.random.default_rng(seed)
    labels = list(PARENTS)
    has_label = rng.random((n_clips, len(labels))) < 0.2
    for child, above in (("Bark", "Dog"), ("Dog", "Animal"), ("Cat", "Animal")):
        has_label[:, labels.index(above)] |= has_label[:, labels.index(child)]
    uploaders = rng.choice(["ann", "ben", "cas", "", None], n_clips)
    x = rng.integers(-2, 3, (n_clips, 2)).astype(np.float32)  # with ties
    families = {"Dog": "Animals", "Cat": "Animals", "Rain": "Weather"}
    return x, has_label, labels, families, pd.Series(uploaders, name="uploader")


def assert_same_scores(fast, slow):
    fast, slow = table(fast), table(slow)
    assert fast.keys() == slow.keys()
    for key, row in slow.items():
        assert fast[key]["value"] == pytest.approx(row["value"], abs=1e-12), key
        assert (fast[key]["n_queries"], fast[key]["n_skipped"]) == (row["n_queries"], row["n_skipped"]), key


@pytest.mark.parametrize("protocol", metrics.PROTOCOLS)
@pytest.mark.parametrize("kind", relevance.KINDS)
@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_every_rule_equals_the_slow_reference(kind, exclude, protocol, seed):
    x, has_label, labels, families, uploaders = collection(seed)
    rule = relevance.define(kind, labels, parents=PARENTS, exclude=uploaders if exclude else None)
    cutoffs = (1, 5, 60)
    fast = metrics.evaluate(
        x, scipy.sparse.csr_array(has_label), labels, families, "nns", cutoffs, protocol, relevant=rule
    )
    groups = [u or f"alone {i}" for i, u in enumerate(uploaders)] if exclude else None
    counted = (
        has_label & [label not in ("Animal", "Dog") for label in labels] if kind == "leaf" else has_label
    )
    arguments = x, counted, labels, families, "nns", cutoffs, protocol
    if kind in ("class", "leaf"):
        slow = reference.evaluate(*arguments, groups)
    else:
        slow = reference.evaluate_otherwise(*arguments, kind, [1, 2, 3, 2, 1], groups)
    assert_same_scores(fast, slow)
    assert set(fast["relevance"]) == {f"{kind} without uploader" if exclude else kind}


def test_gains_by_hand():
    """A bark finds a cat, then rain, then another bark: gains 1, 0, 3 of 3, 1, 0."""
    labels = list(PARENTS)
    rows = [["Animal", "Dog", "Bark"], ["Animal", "Cat"], ["Rain"], ["Animal", "Dog", "Bark"]]
    has_label = np.array([[label in row for label in labels] for row in rows])
    rule = relevance.define("graded", labels, parents=PARENTS)
    x = np.array([[0.0], [1.0], [2.0], [3.5]])
    _, micro = metrics.per_query(x, has_label, cutoffs=(3,), relevant=rule)
    expected = (1 + 3 / np.log2(4)) / (3 + 1 / np.log2(3))
    assert micro.scores("standard")["NDCG", 3][0] == pytest.approx(expected)


def test_sharing_a_root_alone_is_nothing_among_leaves():
    labels = list(PARENTS)
    has_label = np.array([[1, 1, 1, 0, 0], [1, 0, 0, 1, 0], [1, 1, 1, 0, 0]], bool)
    x = np.array([[0.0], [1.0], [3.0]])
    of = {}
    for kind in ("class", "leaf"):
        rule = relevance.define(kind, labels, parents=PARENTS)
        of[kind] = table(metrics.evaluate(x, has_label, labels, cutoffs=(2,), relevant=rule))
    assert of["class"]["MAP", 2, "micro", "all"]["value"] == 1
    # The barks find each other second, and the cat, the only one, has nothing to find.
    assert of["leaf"]["MAP", 2, "micro", "all"]["value"] == pytest.approx(np.mean([1 / 2, 1 / 2]))
    assert of["leaf"]["MAP", 2, "micro", "all"]["n_skipped"] == 1
    assert {key[3] for key in of["leaf"] if key[2] == "class"} == {"Bark"}


def test_the_leaves_and_depths_of_the_embedded_classes():
    """FSD50K has 144 leaves: where there are several parents the table may name none."""
    parents = relevance.read_parents()
    assert relevance.is_leaf(list(parents), parents).sum() == 146
    assert dict(zip(parents, relevance.depths(list(parents), parents), strict=True))["Bass_drum"] == 5


def test_of_several_parents_the_deepest_counts():
    """A howl is a dog's (depth 2) and an animal's (depth 1): it has depth 3, whichever is named first."""
    parents = {"Animal": [], "Dog": ["Animal"], "Howl": ["Animal", "Dog"], "Wail": ["Dog", "Animal"]}
    assert relevance.depths(list(parents), parents).tolist() == [1, 2, 3, 3]


def test_a_circle_among_parents_is_refused():
    with pytest.raises(ValueError, match="a -> b -> a is a circle"):
        relevance.depths(["a"], {"a": ["b"], "b": ["a"]})


def test_a_ranking_that_holds_the_own_uploader_is_refused():
    x, has_label, labels, _, uploaders = collection(0)
    rule = relevance.define("class", labels, exclude=uploaders)
    with pytest.raises(ValueError, match="results of the query's own uploader"):
        metrics.per_query(x, has_label, cutoffs=(5,), ranking=rank(x, top_n=5), relevant=rule)
    without = rank(x, top_n=39, groups=rule.groups)
    with pytest.raises(ValueError, match="it excludes groups"):
        metrics.per_query(x, has_label, cutoffs=(5,), ranking=without)


def test_a_ranking_without_the_own_group_is_the_others_in_order():
    x, *_, uploaders = collection(1)
    groups = relevance.group_codes(uploaders)
    ranking = rank(x, top_n=39, groups=groups)
    for query in range(len(x)):
        expected = reference.rank_others(x, query, "nns", groups.tolist())
        assert ranking.neighbours[query, : len(expected)].tolist() == expected
        assert (ranking.neighbours[query, len(expected) :] == -1).all()
        assert np.isnan(ranking.scores[query, len(expected) :]).all()


def test_a_collection_has_every_rule_and_none_without_uploaders_where_they_are_unknown():
    clips = pd.DataFrame({"uploader": ["ann", "ann", ""], "pack": ["", "", ""]})
    names = [rule.name for rule in relevance.definitions(["a"], clips, "uploader")]
    assert names == ["class", "leaf", "any", "graded", "class without uploader"]
    assert len(relevance.definitions(["a"], clips, "pack")) == 4
    with pytest.raises(ValueError, match="no column 'album' to exclude by: use one of uploader, pack"):
        relevance.definitions(["a"], clips, "album")


def test_rules_that_dont_fit_are_refused():
    with pytest.raises(ValueError, match="relevance 'strict' is unknown: use one of class, leaf"):
        relevance.define("strict")
    with pytest.raises(ValueError, match="is for 2 labels, but the label matrix has 1"):
        metrics.per_query(np.eye(3), np.ones((3, 1), bool), relevant=relevance.define("leaf", ["a", "b"]))
    with pytest.raises(ValueError, match="relevance 'graded' has no weights: define it with the labels"):
        metrics.per_query(np.eye(3), np.ones((3, 1), bool), relevant=relevance.Relevance("graded"))
