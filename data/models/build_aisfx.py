"""Rebuild aisfx.safetensors from the published wheel: python data/models/build_aisfx.py AISFX_WHEEL

Get the wheel with: pip download --no-deps aisfx==0.1.2
It holds the checkpoint of the ISMIR 2022 paper (CC BY 4.0, A. B. Ma and A. Lerch). The checkpoint is a pickle
that holds numpy scalars; those types are allowed by name, and nothing else in it is executed. The embedding
network's tensors are written unchanged; the classifiers of the training datasets are left out.
"""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from sss_lib.io.artefact import replacing

TARGET = Path(__file__).parent / "aisfx.safetensors"
PREFIX = "embedding_net."


def convert(wheel: Path) -> dict[str, torch.Tensor]:
    """Tensors of the embedding network, by their published names without the prefix."""
    checkpoint = zipfile.ZipFile(wheel).read("aisfx/models/checkpoint.pth")
    numpy_scalars = [np._core.multiarray.scalar, (np._core.multiarray.scalar, "numpy.core.multiarray.scalar")]
    numpy_scalars += [np.dtype, np.dtypes.Int64DType, np.dtypes.Float64DType]
    with torch.serialization.safe_globals(numpy_scalars):
        state, _ = torch.load(io.BytesIO(checkpoint), map_location="cpu", weights_only=True)
    return {name[len(PREFIX) :]: value for name, value in sorted(state.items()) if name.startswith(PREFIX)}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    tensors = convert(Path(sys.argv[1]))
    with replacing(TARGET) as temporary:
        safetensors.torch.save_file(tensors, temporary)
    digest = hashlib.sha256(TARGET.read_bytes()).hexdigest()
    print(f"{TARGET.name}: {len(tensors)} tensors, {TARGET.stat().st_size} bytes, sha256 {digest}")
