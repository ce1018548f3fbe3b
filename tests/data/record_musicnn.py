"""Record what musicnn's other three networks compute, for their tests

    python record_musicnn.py UNPACKED_WHEEL

Needs the contents of the wheel musicnn 0.1.0 and an environment with tensorflow-cpu 2.15.1, on Python 3.11
(see record_msd_musicnn.py). It runs the package's own networks with their checkpoints, and writes
musicnn_reference.npz: `{network}/{output}/{name}`, with the names and inputs of msd_musicnn_reference.npz.

Outputs are `penultimate` of MTT_musicnn and `pool5` of the two VGGs, both flat, and `Sigmoid` of all.
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def main(unpacked_wheel: str) -> None:
    """Write the reference file."""
    import tensorflow as tf

    sys.path.insert(0, unpacked_wheel)
    from musicnn import models

    with np.load(HERE / "msd_musicnn_reference.npz") as known:
        inputs = {name[8:]: known[name] for name in known if name.startswith("patches/")}
    inputs["network"] = np.random.default_rng(0).random((4, 187, 96), np.float32)
    recorded, v1 = {}, tf.compat.v1
    for network in ("MTT_musicnn", "MSD_vgg", "MTT_vgg"):
        with tf.Graph().as_default(), v1.Session() as session:
            with tf.name_scope("model"):
                patches = v1.placeholder(tf.float32, [None, 187, 96])
                is_training = v1.placeholder(tf.bool)
                logits, *_, last = models.define_model(patches, is_training, network, 50)
                features = "pool5" if network.endswith("vgg") else "penultimate"
                outputs = {features: last, "Sigmoid": tf.nn.sigmoid(logits)}
            v1.train.Saver().restore(session, f"{unpacked_wheel}/musicnn/{network}/")
            for name, values in inputs.items():
                results = session.run(outputs, {patches: values, is_training: False})
                for output, result in results.items():
                    recorded[f"{network}/{output}/{name}"] = result.reshape(len(values), -1)
                print(network, name, {output: result.shape for output, result in results.items()})
    np.savez_compressed(HERE / "musicnn_reference.npz", **recorded)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
