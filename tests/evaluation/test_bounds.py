"""Chance and the upper bound, by every rule and protocol."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from test_relevance import PARENTS, collection

from sss_lib import bounds, metrics, relevance
from sss_lib.evaluation.protocols import Protocol


def rules(labels, uploaders):
    kinds = [relevance.define(kind, labels, parents=PARENTS) for kind in relevance.KINDS]
    without = [relevance.define(k, labels, parents=PARENTS, exclude=uploaders) for k in ("class", "graded")]
    return {rule.name: rule for rule in (*kinds, *without)}


RULES = ["class", "leaf", "any", "graded", "class without uploader", "graded without uploader"]
KEYS = ["metric", "n", "level", "name"]


@pytest.mark.simulation
@pytest.mark.parametrize("name", RULES)
def test_chance_is_what_random_embeddings_score_on_average(name):
    _, has_label, labels, families, uploaders = collection(5)
    arguments = {"cutoffs": (5,), "relevant": rules(labels, uploaders)[name]}
    rng = np.random.default_rng(0)
    runs = pd.concat(
        metrics.evaluate(rng.normal(size=(40, 9)), has_label, labels, families, **arguments)
        for _ in range(60)
    )
    sampled = runs.groupby(KEYS, dropna=False)["value"].agg(["mean", "sem"]).reset_index()
    both = bounds.chance(has_label, labels, families, **arguments).merge(sampled, validate="one_to_one")
    assert len(both) == len(sampled) > 5
    assert (abs(both["value"] - both["mean"]) < 5 * both["sem"] + 1e-12).all()


def test_sampled_chance_surrounds_the_expected():
    _, has_label, labels, families, _ = collection(6)
    expected = bounds.chance(has_label, labels, families, cutoffs=(5,))
    sampled = bounds.sampled_chance(has_label, labels, families, cutoffs=(5,), n_draws=60)
    both = expected.merge(sampled, on=KEYS, validate="one_to_one")
    assert (both["ci_low"] <= both["value_y"]).all()
    assert (both["value_y"] <= both["ci_high"]).all()
    macro = both[both["level"] == "macro"]
    np.testing.assert_allclose(macro["value_x"], macro["value_y"], rtol=0.1)


@pytest.mark.parametrize("protocol", metrics.PROTOCOLS)
@pytest.mark.parametrize("name", RULES)
def test_nothing_scores_above_the_upper_bound(name, protocol):
    x, has_label, labels, families, uploaders = collection(7)
    arguments = {"cutoffs": (1, 5, 100), "protocol": protocol, "relevant": rules(labels, uploaders)[name]}
    upper = bounds.upper_bound(has_label, labels, families, **arguments)
    for embeddings in (x, has_label.astype(float)):
        scores = metrics.evaluate(embeddings, has_label, labels, families, **arguments)
        both = scores.merge(upper, on=KEYS, validate="one_to_one")
        assert len(both) == len(scores) == len(upper)
        higher = both["metric"] != "MR1"
        assert (both["value_x"] <= both["value_y"] + 1e-12)[higher].all()
        assert (both["value_x"] >= both["value_y"])[~higher].all()


@pytest.mark.parametrize("name", ["class", "graded"])
@pytest.mark.parametrize("bound", [bounds.chance, bounds.upper_bound])
def test_a_cutoff_beyond_the_collection_costs_no_memory_of_its_own(bound, name):
    """It is how "all results" is said; five million of them took 120 MB."""
    _, has_label, labels, families, uploaders = collection(8)
    rule = rules(labels, uploaders)[name]
    everything = bound(has_label, labels, families, cutoffs=(has_label.shape[0],), relevant=rule)
    tracemalloc.start()
    far = bound(has_label, labels, families, cutoffs=(5_000_000,), relevant=rule)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5e6
    np.testing.assert_allclose(far["value"], everything["value"])


def test_the_upper_bound_is_one_unless_more_is_divided_by_than_can_be_found():
    has_label = np.repeat(np.eye(2, dtype=bool), [4, 6], axis=0)
    upper = bounds.upper_bound(has_label, ["a", "b"], cutoffs=(5,))
    assert (upper["value"] == 1).all()
    paper = bounds.upper_bound(has_label, ["a", "b"], cutoffs=(5,), protocol="paper")
    paper = paper.set_index(["metric", "level", "name"])["value"]
    assert paper["MAP", "class", "a"] == 3 / 4  # three to find, four of the class
    assert paper["MAP", "class", "b"] == 5 / 5
    assert paper["MAP", "micro", "all"] == pytest.approx((4 * 3 / 5 + 6 * 5 / 5) / 10)
    assert paper["MR1", "macro", "all"] == 0


def test_a_ranking_by_nested_classes_reaches_the_upper_bound():
    """Every class lies within its parent: who shares the leaf comes first, then who shares the parent."""
    has_label = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1], [1, 0, 1], [1, 0, 0]], bool)
    x = has_label * np.array([1.0, 2.0, 2.0])
    for protocol in ("standard", Protocol("trec", "R", "R")):
        scores = metrics.evaluate(x, has_label, list("abc"), search="mips", cutoffs=(4,), protocol=protocol)
        upper = bounds.upper_bound(has_label, list("abc"), cutoffs=(4,), protocol=protocol)
        np.testing.assert_allclose(scores["value"], upper["value"])


def test_bounds_come_to_their_class_whatever_rows_are_called():
    has_label = np.repeat(np.eye(2, dtype=bool), [2, 6], axis=0)
    chance, upper = (of(has_label, ["a", "b"], cutoffs=(3,)) for of in (bounds.chance, bounds.upper_bound))
    scores = chance.set_axis(range(len(chance))[::-1])
    found = bounds.add_bounds(scores, chance, upper)
    np.testing.assert_array_equal(found["chance"], chance["value"])
    np.testing.assert_array_equal(found["ceiling"], upper["value"])


def test_too_few_draws_are_refused():
    with pytest.raises(ValueError, match="n_draws=1 is too few"):
        bounds.sampled_chance(np.ones((3, 1), bool), ["a"], n_draws=1)
