"""What the scripts that rebuild weights from a published archive share."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.numpy

from sss_lib.io.artefact import replacing


def require_published(archive: Path, sha256: str) -> None:
    """Raise ValueError if an archive is another than the published one."""
    if (digest := hashlib.sha256(archive.read_bytes()).hexdigest()) != sha256:
        raise ValueError(f"{archive} has sha256 {digest}, not {sha256}: download it again")


def main(usage: str | None, target: Path, make: Callable[[Path], dict[str, np.ndarray]]) -> None:
    """Write the tensors, as float32, that a function makes of the archive on the command line."""
    if len(sys.argv) != 2:
        sys.exit(usage)
    state = {name: np.ascontiguousarray(one, np.float32) for name, one in make(Path(sys.argv[1])).items()}
    with replacing(target) as temporary:
        safetensors.numpy.save_file(state, temporary)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    print(f"{target.name}: {len(state)} tensors, {target.stat().st_size} bytes, sha256 {digest}")
