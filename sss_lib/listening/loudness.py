"""How loud a sound is to listeners, by ITU-R BS.1770-4, and the gain that brings it to a common loudness."""

import numpy as np

RATE_HZ = 48000
"""The rate that the coefficients below are for."""
TARGET_LUFS = -23.0
"""Where sounds are brought to, as EBU R 128 does."""
BLOCK_S, STEP_S = 0.4, 0.1
# BS.1770-4, tables 1 and 2: a shelf for the head, then a high-pass.
_SHELF = (1.53512485958697, -2.69169619940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)
_HIGH_PASS = (1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)


def integrated(wave: np.ndarray) -> float:
    """Integrated loudness of a mono sound in LUFS, gated as in BS.1770-4; -inf for silence.

    A sound shorter than one block of 0.4 s is one block by itself, as long as it is.

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
    sums = np.concatenate([[0], np.cumsum(np.square(weighted))])
    starts = np.arange(0, len(weighted) - size + 1, step)
    power = np.maximum(sums[starts + size] - sums[starts], 0) / size
    power = power[_lufs(power) > -70]
    if not len(power):
        return -np.inf
    return float(_lufs(power[_lufs(power) > _lufs(power.mean()) - 10].mean()))


def _weighted(wave: np.ndarray) -> np.ndarray:
    from scipy.signal import sosfilt

    return sosfilt(np.array([[*above, *below] for above, below in (_SHELF, _HIGH_PASS)]), wave)


def _lufs(power: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return -0.691 + 10 * np.log10(power)


def gain_db(wave: np.ndarray) -> float:
    """Gain that brings a sound to `TARGET_LUFS`, but never beyond full scale; 0 for silence."""
    loudness, peak = integrated(wave), float(np.abs(wave).max(initial=0))
    return min(TARGET_LUFS - loudness, -20 * np.log10(peak)) if np.isfinite(loudness) else 0.0
