"""What is in the sound files of a collection, decoded from their first sample to their last."""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sss_lib.io import audio, download

if TYPE_CHECKING:
    from sss_lib.dataset.dataset import Dataset

CLIPPED_RUN = 3
"""A clip counts as clipped if so many samples in a row are at full scale."""
FULL_SCALE = 0.999


def verify(dataset: "Dataset", n_jobs: int = -1) -> pd.DataFrame:
    """Decode every clip and say what is in it: one row a clip, in dataset order.

    Parameters
    ----------
    dataset : Dataset
    n_jobs : int
        Threads; -1 for one a core.

    Returns
    -------
    pd.DataFrame
        fname, duration_s, rate_hz, n_channels, rms_db (of full scale; -inf for silence), peak, clipped,
        sha256 of the file and of its audio (wave_sha256), and problem ("" for a clip that decodes).
    """
    import joblib
    from tqdm import tqdm

    work = (joblib.delayed(_examine)(path) for path in dataset.clips["path"])
    rows = joblib.Parallel(n_jobs, prefer="threads", return_as="generator", batch_size=8)(work)
    about = {"desc": f"verifying {dataset.name}", "unit": "clip", "mininterval": 0.5}
    report = pd.DataFrame(tqdm(rows, total=len(dataset), **about), columns=list(_ROW))
    report.insert(0, "fname", dataset.clips["fname"].to_numpy())
    return report


_ROW = {
    **{"duration_s": np.nan, "rate_hz": 0, "n_channels": 0, "rms_db": np.nan, "peak": np.nan},
    **{"clipped": False, "sha256": "", "wave_sha256": "", "problem": ""},
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
        sound.hear(first)
        for block, _ in blocks:
            sound.hear(block)
    except audio.AudioError as error:
        return row | {"problem": str(error)}
    return row | sound.facts()


class _Sound:
    """What is known of a sound that is heard block by block, whatever its length."""

    def __init__(self, rate_hz: int, n_channels: int):
        self.rate_hz, self.n_channels = rate_hz, n_channels
        self.n_samples, self.energy, self.peak, self.clipped = 0, 0.0, 0.0, False
        self.content = hashlib.sha256(f"{rate_hz} {n_channels} ".encode())
        self.last = np.zeros((0, n_channels), bool)  # the samples before, where they are at full scale

    def hear(self, channels: np.ndarray) -> None:
        """Take in the next block: float32 [n_samples, n_channels]."""
        self.n_samples += len(channels)
        self.energy += float(np.square(channels.mean(axis=1, dtype=np.float64)).sum())
        self.content.update(np.ascontiguousarray(channels).data)
        loudness = np.abs(channels)
        self.peak = max(self.peak, float(loudness.max()))
        full = np.concatenate([self.last, loudness >= FULL_SCALE])
        self.clipped = self.clipped or _has_run(full)
        self.last = full[-CLIPPED_RUN + 1 :]

    def facts(self) -> dict:
        """Its columns in the table of `verify`."""
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


def _has_run(full: np.ndarray) -> bool:
    """Whether a channel stays at full scale for several samples."""
    run = full
    for _ in range(CLIPPED_RUN - 1):
        run = run[1:] & full[: len(run) - 1]
    return bool(run.any())
