"""Record what the published MSD_musicnn computes, for its tests: python record_msd_musicnn.py UNPACKED_WHEEL

Needs the contents of the wheel musicnn 0.1.0 and an environment with tensorflow-cpu 2.15.1, soundfile, soxr
and essentia-tensorflow 2.1b6.dev1389, on Python 3.11. (TensorFlow from 2.16 on brings Keras 3, which lacks
the layers of TensorFlow 1.) It runs the package's own network with its checkpoint, and writes
msd_musicnn_reference.npz.

The package's own spectrograms are float16, which overflows in loud sounds, so the patches of the clips are
Essentia's: its front end for this network, cut as TensorflowPredictMusiCNN does with lastPatchMode="repeat".
The package's `extractor` is not used: of a sound with several patches it repeats the first one's penultimate.

- `{output}/network`: outputs for `np.random.default_rng(0).random((4, 187, 96), np.float32)`;
- `patches/{fname}`: the log-mel patches of a clip of data/mini [shape=(n_patches, 187, 96)];
- `{output}/{fname}`: the outputs for them [shape=(n_patches, dim)].

Outputs are `penultimate` and `Sigmoid` (the package calls the latter taggram), and `dense`, the penultimate
layer before its activation.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

HERE = Path(__file__).parent
AUDIO = HERE.parent.parent / "data" / "mini" / "audio"
CLIPS = ("109400", "198403", "207809", "scratch-instruments-spooky-string", "scratch-music-loops-drum")
RATE_HZ, N_FRAMES, HOP = 16000, 187, 93


def log_mel(path: Path) -> np.ndarray:
    """Essentia's log-mel frames of a sound at 16 kHz [shape=(n_frames, 96)]."""
    import essentia.standard as es

    wave, native_hz = soundfile.read(path, dtype="float32")
    wave = soxr.resample(wave, native_hz, RATE_HZ, quality="VHQ")
    bands = es.TensorflowInputMusiCNN()
    return np.array([bands(frame) for frame in es.FrameGenerator(wave, 512, 256, startFromZero=False)])


def cut(frames: np.ndarray) -> Iterator[np.ndarray]:
    """Patches of a sound; the last, never whole, repeats its frames until it is full."""
    for start in range(0, len(frames), HOP):
        patch = frames[start : start + N_FRAMES]
        yield np.resize(patch, (N_FRAMES, 96))
        if len(patch) < N_FRAMES:
            return


def main(unpacked_wheel: str) -> None:
    """Write the reference file."""
    import tensorflow as tf

    sys.path.insert(0, unpacked_wheel)
    from musicnn import models

    inputs = {"network": np.random.default_rng(0).random((4, N_FRAMES, 96), np.float32)}
    inputs |= {fname: np.array(list(cut(log_mel(AUDIO / f"{fname}.ogg")))) for fname in CLIPS}
    recorded = {f"patches/{fname}": inputs[fname] for fname in CLIPS}
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        with tf.name_scope("model"):
            patches = v1.placeholder(tf.float32, [None, N_FRAMES, 96])
            is_training = v1.placeholder(tf.bool)
            logits, *_, penultimate = models.define_model(patches, is_training, "MSD_musicnn", 50)
            outputs = {"penultimate": penultimate, "Sigmoid": tf.nn.sigmoid(logits)}
        outputs["dense"] = session.graph.get_tensor_by_name("model/dense/BiasAdd:0")
        v1.train.Saver().restore(session, f"{unpacked_wheel}/musicnn/MSD_musicnn/")
        for name, values in inputs.items():
            results = session.run(outputs, {patches: values, is_training: False})
            recorded |= {f"{output}/{name}": result for output, result in results.items()}
            print(name, values.shape, {output: result.shape for output, result in results.items()})
    np.savez_compressed(HERE / "msd_musicnn_reference.npz", **recorded)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
