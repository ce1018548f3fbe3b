"""Sounds changed as they change on their way to a listener, to see how much of the ranking stays."""

import io

import numpy as np
import scipy.signal

from sss_lib.io.names import require_known

PERTURBATIONS = {
    "level": "dB that the level changes by; beyond full scale it clips",
    "noise": "dB of the signal over white noise",
    "codec": "kbit/s of MP3, 32 to 320",
    "crop": "share of the sound that is kept, from a random place",
    "reverb": "seconds in which the reverberation falls by 60 dB",
    "speed": "factor of speed and pitch",
}
"""How a sound can be changed, and what `amount` says."""


def perturb(wave: np.ndarray, rate_hz: int, how: str, amount: float, seed: int = 0) -> np.ndarray:
    """A sound that is changed in one way.

    Parameters
    ----------
    wave : np.ndarray [shape=(n,), dtype=float32]
        In [-1, 1].
    rate_hz : int
    how, amount : str, float
        See `PERTURBATIONS`.
    seed : int
        Of noise, of the place of a crop, and of the echoes of a room.

    Returns
    -------
    np.ndarray [shape=(n_samples,), dtype=float32]

    Raises
    ------
    ValueError
        If the way is unknown, or no sound can be changed by so much.

    Examples
    --------
    >>> perturb(np.array([0.1, -0.9], np.float32), 8000, "level", 20)
    array([ 1., -1.], dtype=float32)
    """
    require_known(how, PERTURBATIONS, "the ways to change a sound")
    rng = np.random.default_rng(seed)
    if how == "level":
        return np.clip(wave * 10 ** (amount / 20), -1, 1).astype(np.float32)
    if how == "noise":
        noise = rng.normal(size=len(wave)) * np.sqrt(np.mean(np.square(wave, dtype=np.float64)))
        return (wave + noise * 10 ** (-amount / 20)).astype(np.float32)
    if how == "codec":
        return _through_mp3(wave, rate_hz, amount)
    if not amount > 0 or (how == "crop" and amount > 1):
        raise ValueError(f"{how} by {amount}: give a number above 0{', at most 1' if how == 'crop' else ''}")
    if how == "crop":
        n = max(1, round(amount * len(wave)))
        start = int(rng.integers(len(wave) - n + 1))
        return wave[start : start + n].astype(np.float32)
    if how == "speed":
        return _resampled(wave, rate_hz * amount, rate_hz)
    time_s = np.arange(round(amount * rate_hz)) / rate_hz
    echoes = rng.normal(size=len(time_s)) * 10 ** (-3 * time_s / amount)
    echoes /= max(float(np.linalg.norm(echoes)), 1e-12)  # as loud as the sound itself, on average
    wet = scipy.signal.fftconvolve(wave, echoes)[: len(wave)] if len(echoes) else 0
    return ((wave + wet) / np.sqrt(2)).astype(np.float32)


def _resampled(wave: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    import soxr

    return soxr.resample(wave.astype(np.float32), from_hz, to_hz)


def _through_mp3(wave: np.ndarray, rate_hz: int, kbit_s: float) -> np.ndarray:
    """Encoded at 44.1 kHz by libsndfile's LAME, and decoded."""
    import soundfile

    if not 32 <= kbit_s <= 320:
        raise ValueError(f"codec by {kbit_s} kbit/s: MP3 has 32 to 320 here")
    file = io.BytesIO()
    # libsndfile maps levels from 0 to 1 to 320 to 32 kbit/s, and refuses 1 itself.
    options = {"compression_level": min((320 - kbit_s) / 288, 0.99), "bitrate_mode": "CONSTANT"}
    soundfile.write(file, _resampled(wave, rate_hz, 44100), 44100, format="MP3", **options)
    file.seek(0)
    return _resampled(soundfile.read(file, dtype="float32")[0], 44100, rate_hz)
