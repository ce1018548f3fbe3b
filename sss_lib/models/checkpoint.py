"""Checkpoints of PyTorch networks: read without running what is in them, and matched name by name."""

import importlib
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

from sss_lib.models.spec import ModelSpec


def import_torch(spec: ModelSpec):
    """Return torch, or say how to install what the model needs."""
    try:
        import safetensors.torch
        import torch

        importlib.import_module(spec.requires)
    except ImportError as error:
        raise ImportError(
            f"{spec.name} needs {error.name}: install it with pip install -e .[torch]"
        ) from None
    del safetensors
    return torch


def read(path: str | Path) -> dict:
    """Content of a .safetensors file, or of a PyTorch file that holds nothing but tensors and plain values.

    Raises
    ------
    ValueError
        If the file is damaged, or could run code when it is read.
    """
    import safetensors
    import safetensors.torch
    import torch

    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        mapped = zipfile.is_zipfile(path)  # then only what is used of a large file is read
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        reason = str(error).partition("GLOBAL ")[2].partition(" ")[0].partition("\n")[0]
        wants = f"it asks for {reason}" if reason else "it holds more than tensors and plain values"
        raise ValueError(
            f"{path} is refused, because reading it could run code: {wants}. Get the published file "
            "again, or convert it to safetensors where you trust it"
        ) from None
    except (RuntimeError, EOFError, safetensors.SafetensorError) as error:
        raise ValueError(f"{path} is damaged: delete it and fetch it again ({error})") from None


def under(state: Mapping, prefix: str) -> dict:
    """Entries whose name begins with a prefix, named without it.

    Examples
    --------
    >>> under({"audio.conv": 1, "text.conv": 2}, "audio.")
    {'conv': 1}
    """
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def without(state: Mapping, *prefixes: str) -> dict:
    """Entries but those whose name begins with one of the prefixes.

    Examples
    --------
    >>> without({"audio.conv": 1, "text.conv": 2, "head": 3}, "text.", "head")
    {'audio.conv': 1}
    """
    return {name: value for name, value in state.items() if not name.startswith(prefixes)}


def load_into(network, state: Mapping, source: str | Path):
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
    own = network.state_dict()
    wrong = {
        "is missing": [name for name in own if name not in state],
        "has besides": [name for name in state if name not in own],
        "has in another shape": [
            f"{name} {list(state[name].shape)} for {list(own[name].shape)}"
            for name in own
            if name in state and state[name].shape != own[name].shape
        ],
    }
    complaints = [
        f"{what} {', '.join(names[:5])}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        for what, names in wrong.items()
        if names
    ]
    if complaints:
        raise ValueError(f"{source} does not fit the network: it {'; it '.join(complaints)}")
    network.load_state_dict(state)
    return network.eval()
