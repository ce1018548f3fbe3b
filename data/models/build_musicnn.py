"""Rebuild the musicnn graphs from the published wheel: python data/models/build_musicnn.py MUSICNN_WHEEL

Get the wheel with: pip download --no-deps musicnn==0.1.0
It holds the checkpoints of four networks (ISC licence, Music Technology Group, Universitat Pompeu Fabra) by
J. Pons and X. Serra that tag music: MusiCNN and a VGG, trained on the Million Song Dataset (MSD) and on
MagnaTagATune (MTT). A checkpoint gives the weights by name, and the package's Python code the network; here
it is written as a frozen graph with the weights in it, which Essentia runs as `TensorflowPredictMusiCNN`.
TensorFlow is not needed.

Changes: at inference batch normalisation is a fixed scale and shift, and is written as that; dropout does
nothing, and is left out; so is the state of the optimiser.

| node | shape | what |
|---|---|---|
| `model/Placeholder` | [n, 187, 96] | log-mel patches: 187 frames (3 s at 16 kHz, hop 256) of 96 bands |
| `model/dense/BiasAdd` | [n, 200] | MusiCNN: the penultimate layer before its activation |
| `model/penultimate` | [n, 200] | MusiCNN: the penultimate layer's output, as the package has it |
| `model/pool5` | [n, 256] | VGG: what its last layer takes: 2 by 1 by 128 values, the package's pool5 |
| `model/Sigmoid` | [n, 50] | how likely each tag is |
"""

import hashlib
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorbundle
from graphdef import FLOAT, INT32, Graph, Shape

from sss_lib.io.artefact import replacing

HERE = Path(__file__).parent
WHEEL_SHA256 = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"
NETWORKS = ("MSD_musicnn", "MTT_musicnn", "MSD_vgg", "MTT_vgg")
N_FRAMES, N_BANDS = 187, 96
EPSILON = 1e-3
"""What batch normalisation adds to the variance: the default of TensorFlow's layer."""
POOLS = ((4, 1), 2), ((2, 2), 2), ((2, 2), 2), ((2, 2), 2), ((4, 4), 4)
"""Sizes and strides of the VGG's maxima."""
TIME, BANDS, CHANNELS = 1, 2, 3
"""Axes of a feature map; axis 0 is the batch."""


def read_weights(wheel: Path, name: str) -> dict[str, np.ndarray]:
    """Tensors of a checkpoint by the names of TensorFlow's layers, as in "conv2d_3/kernel"."""
    with zipfile.ZipFile(wheel) as files:
        prefix = f"musicnn/{name}/"
        return tensorbundle.read(files.read(prefix + ".index"), files.read(prefix + ".data-00000-of-00001"))


def build(weights: Mapping[str, np.ndarray]) -> bytes:
    """Content of the frozen graph: a network of musicnn/models.py, its layers in the same order."""
    network = _Network(weights)
    patches = network.node("Placeholder", "Placeholder", dtype=FLOAT, shape=Shape([-1, N_FRAMES, N_BANDS]))
    spectrogram = network.batch_norm(network.add_axis("spectrogram", patches), 0)
    penultimate, last = (_vgg if "1CNN/kernel" in weights else _musicnn)(network, spectrogram)
    network.node("Sigmoid", "Sigmoid", [network.dense(penultimate, last)], T=FLOAT)
    return network.graph.to_bytes()


def _vgg(network: "_Network", spectrogram: str) -> tuple[str, str]:
    """Five convolutions of 3 by 3, each reduced to its maxima; the layer that gives the tags."""
    x = spectrogram
    for i, (size, stride) in enumerate(POOLS, start=1):
        filtered = network.batch_norm(network.convolution(x, f"{i}CNN", "SAME"), i)
        sizes = {"ksize": [1, *size, 1], "strides": [1, stride, stride, 1]}
        x = network.node(f"{i}pool", "MaxPool", [filtered], T=FLOAT, padding="VALID", **sizes)
    return network.flatten("pool5", x, n_values=len(network.weights["dense/kernel"])), "dense"


def _musicnn(network: "_Network", spectrogram: str) -> tuple[str, str]:
    """Penultimate layer, and the name of the layer that gives the tags."""
    # Front end: filters over frequency (timbre), then over time, each reduced to its maximum over the bands.
    padded = network.pad_time("spectrogram/padded", spectrogram)
    features = []
    for i, (source, padding) in enumerate([(padded, "VALID")] * 2 + [(spectrogram, "SAME")] * 3):
        filtered = network.batch_norm(network.convolution(source, _numbered("conv2d", i), padding), i + 1)
        features.append(network.reduce(f"front_end/{i}", "Max", filtered, BANDS))
    front_end = network.add_axis("front_end", network.concat("front_end/features", features, axis=2))

    # Mid end: three convolutions over time, the second and third added to what they read.
    stages = [front_end]
    for i in (5, 6, 7):
        padded = network.pad_time(f"mid_end/{i}/padded", stages[-1])
        filtered = network.batch_norm(network.convolution(padded, _numbered("conv2d", i), "VALID"), i + 1)
        stage = network.channels_as_bands(f"mid_end/{i}", filtered)
        if i > 5:
            stage = network.node(f"mid_end/{i}/sum", "Add", [stage, stages[-1]], T=FLOAT)
        stages.append(stage)
    mid_end = network.concat("mid_end", stages, axis=BANDS)

    # Back end: maximum and mean over time, side by side for each feature; the penultimate layer; the tags.
    n_pooled = len(network.weights["dense/kernel"])
    pools = [network.reduce(f"back_end/{op}", op, mid_end, TIME) for op in ("Max", "Mean")]
    flat = network.flatten(
        "back_end/flat", network.concat("back_end/pools", pools, axis=2), n_values=n_pooled
    )
    dense = network.dense(network.batch_norm(flat, 9), "dense")
    activated = network.node("dense/Relu", "Relu", [dense], T=FLOAT)
    penultimate = network.node("penultimate", "Identity", [network.batch_norm(activated, 10)], T=FLOAT)
    return penultimate, "dense_1"


class _Network:
    """Layers of TensorFlow 1, added to a graph under `model/` with the weights of a checkpoint."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self.weights = weights
        self.graph = Graph()

    def node(self, name: str, op: str, inputs: list[str] | tuple = (), **attributes: object) -> str:
        return self.graph.add(f"model/{name}", op, inputs, **attributes)

    def constant(self, name: str, values: object, dtype: type = np.float32) -> str:
        return self.graph.constant(f"model/{name}", np.asarray(values, dtype))

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])

    def batch_norm(self, x: str, i: int) -> str:
        """Batch normalisation number i with its running statistics: x * scale + shift."""
        layer = _numbered("batch_normalization", i)
        gamma, beta, mean, variance = (
            self.weights[f"{layer}/{name}"].astype(np.float64)
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        x = self.node(f"{layer}/mul", "Mul", [x, self.constant(f"{layer}/scale", scale)], T=FLOAT)
        shift = self.constant(f"{layer}/shift", beta - mean * scale)
        return self.node(f"{layer}/add", "Add", [x, shift], T=FLOAT)

    def convolution(self, x: str, layer: str, padding: str) -> str:
        """A convolution, its bias and activation."""
        x = self.node(
            f"{layer}/Conv2D",
            "Conv2D",
            [x, self.weight(f"{layer}/kernel")],
            T=FLOAT,
            strides=[1, 1, 1, 1],
            padding=padding,
        )
        x = self.node(f"{layer}/BiasAdd", "BiasAdd", [x, self.weight(f"{layer}/bias")], T=FLOAT)
        return self.node(f"{layer}/Relu", "Relu", [x], T=FLOAT)

    def dense(self, x: str, layer: str) -> str:
        """A dense layer before its activation."""
        x = self.node(f"{layer}/MatMul", "MatMul", [x, self.weight(f"{layer}/kernel")], T=FLOAT)
        return self.node(f"{layer}/BiasAdd", "BiasAdd", [x, self.weight(f"{layer}/bias")], T=FLOAT)

    def pad_time(self, name: str, x: str) -> str:
        """Three frames of zeros before and after, so that filters of seven frames keep the length."""
        amounts = self.constant(f"{name}/amounts", [[0, 0], [3, 3], [0, 0], [0, 0]], np.int32)
        return self.node(name, "Pad", [x, amounts], T=FLOAT, Tpaddings=INT32)

    def add_axis(self, name: str, x: str) -> str:
        """[n, time, bands] -> [n, time, bands, 1]."""
        axis = self.constant(f"{name}/axis", CHANNELS, np.int32)
        return self.node(f"{name}/expanded", "ExpandDims", [x, axis], T=FLOAT, Tdim=INT32)

    def channels_as_bands(self, name: str, x: str) -> str:
        """[n, time, 1, channels] -> [n, time, channels, 1]."""
        order = self.constant(f"{name}/order", [0, TIME, CHANNELS, BANDS], np.int32)
        return self.node(f"{name}/transposed", "Transpose", [x, order], T=FLOAT, Tperm=INT32)

    def flatten(self, name: str, x: str, n_values: int) -> str:
        """[n, ...] -> [n, n_values]."""
        shape = self.constant(f"{name}/shape", [-1, n_values], np.int32)
        return self.node(name, "Reshape", [x, shape], T=FLOAT, Tshape=INT32)

    def concat(self, name: str, parts: list[str], axis: int) -> str:
        at = self.constant(f"{name}/axis", axis, np.int32)
        return self.node(f"{name}/joined", "ConcatV2", [*parts, at], T=FLOAT, N=len(parts), Tidx=INT32)

    def reduce(self, name: str, op: str, x: str, axis: int) -> str:
        """Maximum or mean over one axis, which goes away."""
        over = self.constant(f"{name}/axis", axis, np.int32)
        return self.node(f"{name}/reduced", op, [x, over], T=FLOAT, Tidx=INT32, keep_dims=False)


def _numbered(layer: str, i: int) -> str:
    """Name of the i-th layer of a kind, from 0: TensorFlow leaves the number of the first out."""
    return f"{layer}_{i}" if i else layer


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    wheel = Path(sys.argv[1])
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
        sys.exit(f"{wheel} is not the published musicnn 0.1.0: its sha256 must be {WHEEL_SHA256}")
    for name in NETWORKS:
        target, content = HERE / f"{name.lower().replace('_', '-')}.pb", build(read_weights(wheel, name))
        with replacing(target) as temporary:
            temporary.write_bytes(content)
        print(f"{target.name}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
