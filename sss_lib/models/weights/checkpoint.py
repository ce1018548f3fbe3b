"""Checkpoints of PyTorch networks: read without running what is in them, and matched name by name."""

import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import file as weights

if TYPE_CHECKING:
    from torch import nn


class _Ignored:
    """What a NumPy scalar is read as: a note of the training, such as the best score."""

    def __init__(self, *_: object):
        pass

    def __setstate__(self, state: object) -> None:
        pass


NOTES = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype")
"""Names that checkpoints ask for to hold a NumPy scalar; none of them is called."""


def read(path: str | Path) -> Any:
    """Content of a .safetensors file, or of a PyTorch file that holds nothing but tensors and plain values.

    The content is unchecked: `select` checks it.

    Raises
    ------
    ValueError
        If the file is damaged, or could run code when it is read.
    FileNotFoundError, PermissionError
        If it can't be read at all.
    """
    import safetensors.torch
    import torch

    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        mapped = zipfile.is_zipfile(path)  # then only what is used of a large file is read
        with torch.serialization.safe_globals([(_Ignored, name) for name in NOTES]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # pickle and the readers of zip raise whatever damage leads them to
        asked = str(error).partition("GLOBAL ")[2].partition(" ")[0].partition("\n")[0]
        if not (isinstance(error, pickle.UnpicklingError) and asked):
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise ValueError(f"{path} is damaged, or no file of weights: get it again ({reason})") from None
        raise ValueError(
            f"{path} is refused, because reading it could run code: it asks for {asked}. Get the published "
            "file again, or convert it to safetensors where you trust it"
        ) from None


FOLDER_FILES = (
    r"model\.safetensors",
    r"model-\d+-of-\d+\.safetensors",
    r"pytorch_model\.bin",
    r"pytorch_model-\d+-of-\d+\.bin",
)
"""Names of the files of weights in a folder that transformers saves to: the first that is there counts."""


def weight_files(folder: Path) -> list[Path]:
    """Files of weights in a folder that transformers saves to: one, or its numbered parts."""
    files = sorted(folder.iterdir())
    found = ([file for file in files if re.fullmatch(name, file.name)] for name in FOLDER_FILES)
    return next((names for names in found if names), [])


def read_folder(folder: Path, **how: Any) -> dict:
    """State dict of a folder that transformers saves to, without the parts that `select` drops.

    Raises
    ------
    ValueError
        If there is none, or `read` or `select` refuses a file.
    """
    files = weight_files(folder)
    if not files:
        raise ValueError(
            f"{folder} has neither model.safetensors nor pytorch_model.bin: save the model there again"
        )
    return {name: value for file in files for name, value in select(read(file), file, **how).items()}


def without(state: Mapping, *prefixes: str) -> dict:
    """Entries but those whose name begins with one of the prefixes.

    Examples
    --------
    >>> without({"audio.conv": 1, "text.conv": 2, "head": 3}, "text.", "head")
    {'audio.conv': 1}
    """
    return {name: value for name, value in state.items() if not name.startswith(prefixes)}


def select(
    content: object,
    source: str | Path,
    *,
    nested: str = "",
    dropped: tuple[str, ...] = (),
    renamed: Mapping[str, str] | None = None,
) -> dict:
    """State dict in a checkpoint, without the parts that a network doesn't use.

    Parameters
    ----------
    content : object
        As `read` gives it.
    source : str or Path
        Where it comes from, for messages.
    nested : str
        Key that the state dict is under; "" if the content is it. The "module." that training on several
        GPUs puts before each name is taken off.
    dropped : tuple of str
        Beginnings of names to leave out.
    renamed : mapping of str to str, optional
        Beginnings of names, and what stands in their place.

    Raises
    ------
    ValueError
        If there is no such state dict, or something in it is no tensor.

    Examples
    --------
    >>> import numpy as np
    >>> state = {"module.audio.conv": np.ones(1), "module.text.conv": np.ones(1)}
    >>> select({"model": state}, "x.pt", nested="model", dropped=("text.",), renamed={"audio.": ""})
    {'conv': array([1.])}
    """
    state = content.get(nested) if nested and isinstance(content, Mapping) else content
    if not isinstance(state, Mapping) or not state:
        where = f" under {nested!r}" if nested else ""
        raise ValueError(f"{source} holds no weights{where}: get the published file again, or save so")
    state = {str(name).removeprefix("module."): value for name, value in state.items()}
    selected = {}
    for name, value in without(state, *dropped).items():
        if not hasattr(value, "shape"):
            raise ValueError(f"{source} holds {type(value).__name__} as {name}, not a tensor")
        for old, new in (renamed or {}).items():
            if name.startswith(old):
                name = new + name.removeprefix(old)
                break
        selected[name] = value
    return selected


def published(spec: ModelSpec, **how: Any) -> tuple[dict, Path]:
    """State dict in a model's file of weights, and where that is.

    Parameters
    ----------
    spec : ModelSpec
    **how
        How the file is made up: see `select`.

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    ValueError
        If it isn't the expected one, or `read` or `select` refuses it.
    """
    path = weights.find(spec.name, spec.needed_weights)
    return select(read(path), path, **how), path


def load_published(spec: ModelSpec, build: Callable[[], "nn.Module"], **how: Any) -> "nn.Module":
    """Network with a model's published weights, in evaluation mode.

    Parameters
    ----------
    spec : ModelSpec
    build : callable
        Gives the network, whose state dict has the published names. It is called once the file is read.
    **how
        See `published`, which says what is raised, as does `load_into`.
    """
    state, path = published(spec, **how)
    return load_into(build(), state, path)


def load_into(network: "nn.Module", state: Mapping, source: str | Path) -> "nn.Module":
    """Give a network the values of a state dict that has its names and shapes, all of them and no others.

    Parameters
    ----------
    network : torch.nn.Module
    state : mapping of str to torch.Tensor
    source : str or Path
        Where the state comes from, for messages.

    Returns
    -------
    torch.nn.Module
        The network, in evaluation mode.

    Raises
    ------
    ValueError
        If names are missing or extra, or a shape differs; the message names them.
    """
    expected = network.state_dict()
    wrong = {
        "is missing": [name for name in expected if name not in state],
        "has besides": [name for name in state if name not in expected],
        "has in another shape": [
            f"{name} {list(state[name].shape)} for {list(expected[name].shape)}"
            for name in expected
            if name in state and state[name].shape != expected[name].shape
        ],
    }
    complaints = [
        f"{what} {', '.join(names[:5])}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        for what, names in wrong.items()
        if names
    ]
    if complaints:
        raise ValueError(
            f"{source} does not fit the network: it {'; it '.join(complaints)}. Give weights with the "
            "names and shapes of the published ones"
        )
    network.load_state_dict(state)
    return network.eval()
