import numpy as np
import pytest
import scipy.sparse

from sss_lib.evaluation.hits import packed, relevant_results


@pytest.mark.parametrize("n_labels", [1, 8, 21])
def test_a_result_is_relevant_where_the_label_matrix_says_so(n_labels):
    rng = np.random.default_rng(n_labels)
    has_label = rng.random((2000, n_labels)) < 0.3
    neighbours = rng.integers(-1, 2000, (40, 15))
    row, label = np.sort(rng.integers(0, 40, 90)), rng.integers(0, n_labels, 90)
    hits = relevant_results(packed(scipy.sparse.csr_array(has_label)), neighbours, row, label)
    expected = [
        [clip >= 0 and has_label[clip, c] for clip in neighbours[r]] for r, c in zip(row, label, strict=True)
    ]
    np.testing.assert_array_equal(hits, expected)
