import itertools

import numpy as np
import pytest
import scipy.stats

from sss_lib import paired


def test_a_permutation_test_of_few_queries_counts_every_order():
    differences = np.array([3.0, 2.0, 2.0, -1.0])
    totals = [np.dot(turn, differences) for turn in itertools.product((1, -1), repeat=4)]
    expected = np.mean(np.abs(totals) >= 6)
    assert paired.paired_permutation(differences, np.zeros(4)) == expected


def test_the_permutation_test_agrees_with_scipy():
    rng = np.random.default_rng(5)
    a, b = rng.random(12), rng.random(12)
    found = scipy.stats.permutation_test(
        (a, b), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=np.inf
    )
    assert paired.paired_permutation(a, b, n_draws=5000) == pytest.approx(found.pvalue)  # all 4,096
    assert paired.paired_permutation(a, b, n_draws=4000) == pytest.approx(found.pvalue, abs=0.04)  # drawn


def test_the_paired_bootstrap_agrees_with_scipy():
    rng = np.random.default_rng(6)
    a = rng.random(300)
    b = a - 0.05 + 0.1 * rng.normal(size=300)
    found = paired.paired_bootstrap(a, b, n_draws=9999)
    theirs = scipy.stats.bootstrap((a - b,), np.mean, method="percentile", random_state=1).confidence_interval
    assert found.difference == pytest.approx(np.mean(a - b))
    assert (found.ci_low, found.ci_high) == pytest.approx((theirs.low, theirs.high), abs=0.001)
    assert found.p < 0.001
    assert paired.paired_bootstrap(a, a[::-1]).p > 0.5


@pytest.mark.simulation
@pytest.mark.parametrize("test", ["bootstrap", "permutation"])
def test_systems_that_are_equally_good_differ_as_rarely_as_p_says(test):
    rng = np.random.default_rng(7)
    finds = 0
    for seed in range(400):
        a, b = rng.random(60), rng.random(60)
        if test == "bootstrap":
            p = paired.paired_bootstrap(a, b, n_draws=300, seed=seed).p
        else:
            p = paired.paired_permutation(a, b, n_draws=300, seed=seed)
        finds += p < 0.05
    assert 0.02 <= finds / 400 <= 0.085  # standard error 0.011


def test_a_query_without_a_score_in_either_system_is_left_out():
    a, b = np.array([0.5, np.nan, 0.7, 0.9]), np.array([0.4, 0.1, np.nan, 0.6])
    assert paired.paired_bootstrap(a, b).difference == pytest.approx((0.1 + 0.3) / 2)
    with pytest.raises(ValueError, match="none of 2 queries has a score in both"):
        paired.paired_bootstrap(np.array([1, np.nan]), np.array([np.nan, 1]))


def test_holm_by_hand():
    """Sorted 0.01, 0.02, 0.04, times 3, 2, 1; none may fall below the one before."""
    np.testing.assert_allclose(paired.holm([0.04, 0.01, 0.02]), [0.04, 0.03, 0.04])
    np.testing.assert_allclose(paired.holm([0.6, 0.9]), [1, 1])


def test_pairs_of_one_unit_have_no_interval_and_no_bootstrap_p():
    a, b = np.array([0.9, 0.8, 0.7]), np.array([0.1, 0.2, 0.0])
    together = np.zeros(3, int)
    alone = paired.paired_bootstrap(a[:1], b[:1])
    assert np.isnan([alone.ci_low, alone.ci_high, alone.p]).all()
    assert alone.difference == pytest.approx(0.8)
    assert np.isnan(paired.paired_bootstrap(a, b, groups=together).p)
    assert np.isnan(paired.macro_difference(a, b, together, np.arange(3), groups=together).p)
    assert paired.paired_permutation(a, b, groups=together) == 1


def test_a_drawn_permutation_counts_the_observed_order_so_that_p_is_never_zero():
    assert paired.paired_permutation(np.ones(40), np.zeros(40), n_draws=99) == 1 / 100
