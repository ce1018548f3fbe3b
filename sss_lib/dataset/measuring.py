"""What is in the files of a collection: every clip is decoded from its first sample to its last."""

import contextlib
import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd

from sss_lib.dataset.dataset import Dataset
from sss_lib.io import audio, download

CLIPPED_RUN = 3
"""A clip counts as clipped if so many samples in a row are at full scale."""
FULL_SCALE = 0.999
HEARD_HZ = 16000
"""Lowest rate of the usual models: what lies above half of it, some of them don't hear."""


def verify(dataset: Dataset, n_jobs: int = -1) -> pd.DataFrame:
    """Decode every clip and say what is in it: one row a clip, in dataset order.

    Parameters
    ----------
    dataset : Dataset
    n_jobs : int
        Threads; -1 for one a core.

    Returns
    -------
    pd.DataFrame
        fname, duration_s, rate_hz, n_channels, rms_db (of full scale; -inf for silence), peak, clipped;
        heard_peak and offset (largest sample and mean) of what models hear: one channel, `HEARD_HZ`, the
        first 30 s; sha256 of the file (of a window, its audio) and of its audio (wave_sha256), and problem
        ("" if it decodes).
    """
    import joblib
    from tqdm import tqdm

    work = (joblib.delayed(_examine)(path) for path in dataset.clips["path"])
    rows = joblib.Parallel(n_jobs, prefer="threads", return_as="generator", batch_size=8)(work)
    bar = tqdm(rows, f"verifying {dataset.name}", len(dataset), unit="clip", mininterval=0.5)
    report = pd.DataFrame(bar, columns=list(_ROW))
    report.insert(0, "fname", dataset.clips["fname"].to_numpy())
    return report


_ROW = {
    **{"duration_s": np.nan, "rate_hz": 0, "n_channels": 0, "rms_db": np.nan, "peak": np.nan},
    **{"clipped": False, "heard_peak": np.nan, "offset": np.nan},
    **{"sha256": "", "wave_sha256": "", "problem": ""},
}


def _examine(path: str) -> dict:
    row = dict(_ROW)
    with contextlib.suppress(OSError):  # decoding says why
        if os.path.isfile(path):  # a pipe or a device would never end
            row["sha256"] = download.digest_of(Path(path))
    try:
        blocks = audio.blocks(path)
        first, rate_hz = next(blocks)  # there is one, or an AudioError
        sound = _Sound(rate_hz, first.shape[1])
        sound.add(first)
        for block, _ in blocks:
            sound.add(block)
        heard = audio.resampled(np.concatenate(sound.heard), rate_hz, HEARD_HZ, path)
    except audio.AudioError as error:
        return row | {"problem": str(error)}
    row |= sound.row() | {"heard_peak": float(np.abs(heard).max()), "offset": float(heard.mean())}
    return row | {"sha256": row["sha256"] or row["wave_sha256"]}  # a span is no file


class _Sound:
    """Running measures of a sound that is decoded block by block, whatever its length."""

    def __init__(self, rate_hz: int, n_channels: int):
        self.rate_hz, self.n_channels = rate_hz, n_channels
        self.n_samples, self.energy, self.peak, self.clipped = 0, 0.0, 0.0, False
        self.content = hashlib.sha256(f"{rate_hz} {n_channels} ".encode())
        self.before = np.zeros((0, n_channels), bool)  # a run may begin in the block before
        self.heard: list[np.ndarray] = []

    def add(self, channels: np.ndarray) -> None:
        """Measure the next block: float32 [n_samples, n_channels]."""
        if (n_left := round(audio.MAX_DURATION_S * self.rate_hz) - self.n_samples) > 0:
            with np.errstate(over="ignore"):  # an infinite sum is a problem later
                self.heard.append(audio.mono(channels[:n_left]))
        self.n_samples += len(channels)
        self.energy += float(np.square(channels.mean(axis=1, dtype=np.float64)).sum())
        self.content.update(np.ascontiguousarray(channels).data)
        loudness = np.abs(channels)
        self.peak = max(self.peak, float(loudness.max()))
        full = np.concatenate([self.before, loudness >= FULL_SCALE])
        self.before, run = full[-CLIPPED_RUN + 1 :], full
        for _ in range(CLIPPED_RUN - 1):  # run[i]: full[i], full[i + 1], ... all are at full scale
            run = run[1:] & full[: len(run) - 1]
        self.clipped = self.clipped or bool(run.any())

    def row(self) -> dict:
        """Columns of `verify`."""
        level = np.sqrt(self.energy / self.n_samples)
        return {
            "duration_s": self.n_samples / self.rate_hz,
            "rate_hz": self.rate_hz,
            "n_channels": self.n_channels,
            "rms_db": 20 * np.log10(level) if level else -np.inf,
            "peak": self.peak,
            "clipped": self.clipped,
            "wave_sha256": self.content.hexdigest(),
        }
