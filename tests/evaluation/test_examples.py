"""The clip that a notebook queries with, and the class that it asks for."""

import numpy as np
import pytest
import reference
import scipy.sparse

from sss_lib import examples, search

FNAMES = [f"clip{i}" for i in range(40)]


@pytest.fixture(scope="module")
def clips():
    x, has_label, *_ = reference.random_multilabel(np.random.default_rng(0), 40, 6, 3)
    return scipy.sparse.csr_array(has_label), search.rank(x, "nns", 10).neighbours


def test_a_clip_asks_for_its_rarest_class_that_another_clip_has(clips):
    has_label, _ = clips
    dense = has_label.toarray()
    sizes = dense.sum(axis=0)
    for own, column in zip(dense, examples.asked_classes(has_label), strict=True):
        answerable = [size for size, has in zip(sizes, own, strict=True) if has and size > 1]
        assert (sizes[column] == min(answerable) and own[column]) if answerable else column == -1


def test_a_number_is_not_the_clip_whose_id_looks_like_it(clips):
    """Papermill -p makes a number of an id of digits: another clip than the one that was asked for came."""
    fnames = [f"{i:02}" for i in range(40)]
    with pytest.raises(ValueError, match=r"query=30 is a number, not a name: .* -r query 30"):
        examples.query_row(30, fnames, *clips)


def test_a_result_is_right_if_it_has_that_class(clips):
    has_label, neighbours = clips
    dense, asked = has_label.toarray(), examples.asked_classes(has_label)
    found = examples.found_asked(has_label, neighbours)
    for row in range(40):
        expected = dense[neighbours[row], asked[row]] if asked[row] >= 0 else np.zeros(10, bool)
        np.testing.assert_array_equal(found[row], expected)


def test_the_query_by_default_is_the_first_that_is_nearest_to_half_right(clips):
    has_label, neighbours = clips
    n_right = examples.found_asked(has_label, neighbours)[:, :4].sum(axis=1)
    row = examples.query_row(None, FNAMES, has_label, neighbours, n=4)
    assert n_right[row] == 2
    assert 2 not in n_right[:row]


def test_results_that_an_approximate_search_lacks_are_not_counted():
    has_label = np.array([[True], [True], [False], [True]])
    found = np.array([[1, -1], [0, 2], [0, -1], [0, 1]])
    assert examples.query_row(None, list("abcd"), scipy.sparse.csr_array(has_label), found) == 1


def test_a_query_is_an_id_or_random_and_an_unknown_one_is_told(clips):
    has_label, neighbours = clips
    assert examples.query_row("clip7", FNAMES, has_label, neighbours) == 7
    drawn = {examples.query_row("random", FNAMES, has_label, neighbours) for _ in range(50)}
    assert len(drawn) > 5
    with pytest.raises(ValueError, match="'clip77' is not among the clips: did you mean"):
        examples.query_row("clip77", FNAMES, has_label, neighbours)


def test_without_labels_any_clip_queries():
    none = scipy.sparse.csr_array((3, 0), dtype=bool)
    assert examples.query_row(None, list("abc"), none, np.array([[1, 2], [0, 2], [1, 0]])) == 0
    assert examples.asked_classes(none).tolist() == [-1, -1, -1]


def test_a_clips_family_is_that_of_its_first_class_that_has_one(mini):
    families = examples.families_of(mini)
    for labels, family in zip(mini.clips["labels"], families, strict=True):
        known = [mini.families[label] for label in labels if mini.families.get(label)]
        assert family == (known[0] if known else "")
