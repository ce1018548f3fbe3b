"""Encoders of the user's own, added by `models.register`."""

import hashlib
import inspect
from collections.abc import Callable

from sss_lib.models.spec import ModelSpec


def load(spec: ModelSpec, device: str) -> Callable:
    """Return the function that was registered. It chooses its device itself."""
    del device
    return spec.network


def text_tower(spec: ModelSpec) -> Callable | None:
    """Return the network's own `embed_text`, if it has one."""
    return getattr(spec.network, "embed_text", None)


def row(name: str, network: Callable, about: dict) -> ModelSpec:
    """Row of the catalogue for a function from a wave to frames."""
    defaults = {
        "display_name": name,
        "modality": "-",
        "objective": "-",
        "n_parameters": "-",
        "data_size": "-",
        "colour": "#000000",
        "citation": "your own",
        "hop_s": None,
    }
    options = {"code": code_digest(network), **about.pop("options", {})}
    return ModelSpec(name=name, loader="own", network=network, options=options, **{**defaults, **about})


def code_digest(network: Callable) -> str:
    """Digest of a function's or an object's source, so that embeddings are made again when it changes."""
    code = network if inspect.isfunction(network) else type(network)
    try:
        source = inspect.getsource(code)
    except (OSError, TypeError):  # typed into a bare interpreter: what it was compiled to
        compiled = getattr(code, "__code__", None)
        source = repr((compiled.co_code, compiled.co_consts)) if compiled else repr(code)
    return hashlib.sha256(source.encode()).hexdigest()[:16]
