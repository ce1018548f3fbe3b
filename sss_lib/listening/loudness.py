"""Loudness of a sound by ITU-R BS.1770-4, and the gain that brings it to a common loudness."""

import numpy as np

RATE_HZ = 48000
"""Rate of the filters' coefficients below."""
TARGET_LUFS = -23.0
"""Target level of EBU R 128."""
BLOCK_S, STEP_S = 0.4, 0.1
"""Length of a gating block, and the distance between block starts: blocks overlap by 75 %."""
ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU = -70.0, -10.0
# The K-weighting of BS.1770-4, tables 1 and 2: a shelf for the effect of the head, then a high-pass.
_SHELF = (1.53512485958697, -2.69169619940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)
_HIGH_PASS = (1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)


def integrated(wave: np.ndarray) -> float:
    """Integrated loudness of a mono sound in LUFS, gated as in BS.1770-4; -inf for silence.

    With z_j the mean square of the K-weighted block j and l(z) = -0.691 + 10 log10(z), the loudness is
    l(mean of z_j over J). J has the blocks that pass two gates, so that pauses don't lower the loudness:
    l(z_j) > -70 LUFS (absolute), and l(z_j) > l(mean of z over those) - 10 LU (relative).

    The standard needs one block of 0.4 s; here a shorter sound is one block as long as the sound.

    Parameters
    ----------
    wave : np.ndarray [shape=(n_samples,)]
        At 48 kHz.

    Returns
    -------
    float

    Examples
    --------
    A full-scale sine near 1 kHz has -3.01 LUFS.

    >>> sine = np.sin(2 * np.pi * 997 * np.arange(96000) / 48000)
    >>> round(integrated(sine), 2)
    -3.01
    """
    weighted = _weighted(wave)
    size, step = int(BLOCK_S * RATE_HZ), int(STEP_S * RATE_HZ)
    size = min(size, len(weighted))
    # Differences of cumulative sums, as blocks overlap: each sample is squared and added once.
    sums = np.concatenate([[0], np.cumsum(np.square(weighted))])
    starts = np.arange(0, len(weighted) - size + 1, step)
    power = np.maximum(sums[starts + size] - sums[starts], 0) / size
    power = power[_lufs(power) > ABSOLUTE_GATE_LUFS]
    if not len(power):
        return -np.inf
    power = power[_lufs(power) > _lufs(power.mean()) + RELATIVE_GATE_LU]
    return float(_lufs(power.mean()))


def _weighted(wave: np.ndarray) -> np.ndarray:
    from scipy.signal import sosfilt

    return sosfilt(np.array([[*above, *below] for above, below in (_SHELF, _HIGH_PASS)]), wave)


def _lufs(power: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return -0.691 + 10 * np.log10(power)


def gain_db(wave: np.ndarray) -> float:
    """Gain that brings a sound to `TARGET_LUFS`, but keeps its peak within full scale; 0 for silence."""
    loudness, peak = integrated(wave), float(np.abs(wave).max(initial=0))
    return min(TARGET_LUFS - loudness, -20 * np.log10(peak)) if np.isfinite(loudness) else 0.0
