"""Record Kaldi's log-mel frames, for test_kaldi.py: python record_kaldi.py

Needs an environment with kaldi-native-fbank 1.20.0. It writes kaldi_reference.npz: for each sample rate and
window, the frames of `seeded.wave(rate_hz)`.
"""

import sys
from pathlib import Path

import kaldi_native_fbank
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import seeded  # noqa: E402


def main() -> None:
    """Write the reference file."""
    recorded = {}
    for rate_hz in (16000, 44100):
        for window, kaldi_name in (("hann", "hanning"), ("povey", "povey")):
            options = kaldi_native_fbank.FbankOptions()
            options.frame_opts.samp_freq = rate_hz
            options.frame_opts.dither = 0
            options.frame_opts.window_type = kaldi_name
            options.mel_opts.num_bins = 128
            options.use_energy = False
            computer = kaldi_native_fbank.OnlineFbank(options)
            computer.accept_waveform(rate_hz, seeded.wave(rate_hz).tolist())
            computer.input_finished()
            frames = np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])
            recorded[f"{window}-{rate_hz}"] = frames
            print(window, rate_hz, frames.shape)
    np.savez_compressed(HERE / "kaldi_reference.npz", **recorded)


if __name__ == "__main__":
    main()
