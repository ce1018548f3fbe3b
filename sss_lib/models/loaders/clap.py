"""What the CLAP models share: the log-mel front end, and the projection of Microsoft's.

Frames of 1024 samples, 64 mel bands, decibels. Where a published file holds the mel filter bank that its
network was trained with, that one is used and not the configurations: those of CLAP 2023 and Pengi
contradict each other (microsoft/CLAP issue 38).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sss_lib.models.frontends.spectrogram import centred_power, decibels, mel_filterbank

SIZE, N_BANDS = 1024, 64
LOW_HZ, HIGH_HZ = 50, 14000


def mel_bank(rate_hz: int, *, htk: bool) -> np.ndarray:
    """Mel filter bank of LAION-CLAP: torchaudio's if htk, else librosa's.

    Returns
    -------
    np.ndarray [shape=(513, 64), dtype=float32]
    """
    return mel_filterbank(
        rate_hz=rate_hz,
        size=SIZE,
        n_bands=N_BANDS,
        low_hz=LOW_HZ,
        high_hz=HIGH_HZ,
        scale="htk" if htk else "slaney",
        straight_in="hz",
        norm="" if htk else "area",
    )


def take_bank(state: dict, name: str, source: str | Path) -> np.ndarray:
    """Remove the mel filter bank from a state dict and return it.

    Raises
    ------
    ValueError
        If it isn't there or has another shape; `source` is named in the message.
    """
    bank = state.pop(name, None)
    if bank is None:
        raise ValueError(f"{source} has no {name}, the mel filter bank: get the published file again")
    if bank.shape != (SIZE // 2 + 1, N_BANDS):
        raise ValueError(f"{source} has {name} of shape {list(bank.shape)}, not {[SIZE // 2 + 1, N_BANDS]}")
    return np.array(bank.float())


def log_mel(bank: np.ndarray, hop: int, *, sixteen_bit: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """Front end of a network.

    Parameters
    ----------
    bank : np.ndarray [shape=(513, 64), dtype=float32]
    hop : int
        In samples.
    sixteen_bit : bool
        Samples are first clipped to full scale and truncated to multiples of 1/32767, as in LAION's code.

    Returns
    -------
    callable
        Waveform float32 [n_samples] to decibels float32 [1, 1 + n_samples // hop, 64].
    """

    def front_end(wave: np.ndarray) -> np.ndarray:
        if sixteen_bit:
            wave = np.trunc(np.clip(wave, -1, 1) * np.float32(32767)) / np.float32(32767)
        return decibels(centred_power(wave, size=SIZE, hop=hop) @ bank)[None]

    return front_end


class Projection(nn.Module):
    """Projection of CLAP 2022, CLAP 2023 and Pengi: [n, n_in] to [n, 1024]."""

    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(n_in, 1024, bias=False)
        self.linear2 = nn.Linear(1024, 1024, bias=False)
        self.layer_norm = nn.LayerNorm(1024)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings [n, 1024]."""
        x = self.linear1(x)
        return self.layer_norm(x + self.linear2(nn.functional.gelu(x)))
