"""Encoders that a user adds by `models.register`."""

import hashlib
import inspect
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

import numpy as np

from sss_lib.io.names import require_known
from sss_lib.models.spec import ModelSpec


def load(spec: ModelSpec, device: str) -> Callable:
    """Return the function that was registered, given window by window if it takes one length only.

    It chooses its device itself.
    """
    del device
    return Windowed(spec) if spec.window_s else spec.network


@dataclass(frozen=True)
class Windowed:
    """A user's function on the windows of a wave, which the words of its name choose."""

    spec: ModelSpec

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """Frame embeddings of one wave: those of its windows, one after the other."""
        return self.embed([wave])[0]

    def embed(self, waves: Iterable[np.ndarray]) -> list[np.ndarray]:
        """Frame embeddings of each wave; where the function has a method `embed`, it gets all windows."""
        network, of_waves = self.spec.network, [self.spec.windows(wave) for wave in waves]
        windows = [window for of_wave in of_waves for window in of_wave]
        embedded = iter(network.embed(windows) if hasattr(network, "embed") else map(network, windows))
        return [np.concatenate(list(itertools.islice(embedded, len(of_wave)))) for of_wave in of_waves]


def text_tower(spec: ModelSpec) -> Callable:
    """Return the network's method `embed_text`."""
    return spec.network.embed_text


def row(name: str, network: Callable, about: dict) -> ModelSpec:
    """Row of the catalogue for a function from a wave to frames.

    Raises
    ------
    ValueError
        If `about` has what is no field of `ModelSpec`; the message has the nearest one.
    """
    derived = ("name", "loader", "network", "has_text")
    known = [one.name for one in fields(ModelSpec) if one.name not in derived]
    for key in about:
        require_known(key, known, f"the fields of model {name!r}")
    defaults = {"display_name": name, "hop_s": None, "colour": "#000000", "citation": "your own"}
    derived_fields = {
        "loader": "registered",
        "network": network,
        "has_text": hasattr(network, "embed_text"),
        "options": {"code": code_digest(network), **about.pop("options", {})},
    }
    return ModelSpec(name=name, **defaults | about | derived_fields)


def code_digest(network: Callable) -> str:
    """Digest of a function's or an object's source, so that embeddings are made again when it changes."""
    code = network if inspect.isfunction(network) else type(network)
    try:
        source = inspect.getsource(code)
    except (OSError, TypeError):  # typed into a bare interpreter: what it was compiled to
        compiled = getattr(code, "__code__", None)
        source = repr((compiled.co_code, compiled.co_consts)) if compiled else repr(code)
    return hashlib.sha256(source.encode()).hexdigest()[:16]
