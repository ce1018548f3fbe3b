"""Audio representations by name: `catalogue()` says which there are, `load(name)` gives one to call."""

import importlib
import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sss_lib.io.names import require_known, require_text
from sss_lib.models import naming
from sss_lib.models.catalogue import CATALOGUE
from sss_lib.models.extractor import Extractor
from sss_lib.models.frontends.batches import Batched
from sss_lib.models.naming import absolute, is_external
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import file as weights

__all__ = ["Extractor", "ModelSpec", "absolute", "canonical", "catalogue", "fetch", "file_name", "has_text"]
__all__ += ["is_external", "layers", "load", "read_weights", "register", "spec", "text_tower"]


def catalogue() -> dict[str, ModelSpec]:
    """Every model by name, in the order of the catalogue.

    Examples
    --------
    >>> catalogue()["duration"].dim
    2
    """
    return dict(CATALOGUE)


def spec(name: str) -> ModelSpec:
    """Row of the catalogue for a model.

    Parameters
    ----------
    name : str
        A model, such as "vggish"; with words behind it, such as "vggish+paper", the same with another
        preparation of audio (`ModelSpec.prepared`). "hear:module" or "hear:module:weights" is any importable
        encoder with HEAR's interface, "./folder" an audio model of transformers in a local folder, and
        "./folder@9" its ninth layer; "vggish:./my.pb" is a model with a file of your own in place of its
        weights; "files:PATH" and "ranking:PATH" are embeddings and a ranking that others have computed;
        "fusion:zscore:mcss:yamnet&aisfx" is several models whose rankings are fused.

    Raises
    ------
    ValueError
        If there is no such model; the message has the nearest name. Or if a word doesn't suit it.
    FileNotFoundError
        If a path in the name leads nowhere.
    """
    require_text(name, "model")
    if name.startswith(naming.FUSION):
        return _fused(name)
    if is_external(name):
        base, words = naming.split(absolute(name))
        if naming.OWN.match(base):
            return _with_own_weights(*base.split(":", 1)).prepared(*words)
        given = "given" if base.startswith(naming.GIVEN) else "transformers_folder"
        loader = _loader("hear" if base.startswith(naming.HEAR) else given)
        return loader.spec_of(base).prepared(*words)
    name, *words = name.split("+")
    if name not in CATALOGUE and Path(name).is_dir():
        raise ValueError(f"model {name!r} is not in the catalogue: for the folder write './{name}'")
    require_known(name, CATALOGUE, "the models of the catalogue and of models.register")
    return CATALOGUE[name].prepared(*words)


def _fused(name: str) -> ModelSpec:
    """Row of several models whose rankings are fused: nothing is extracted by it."""
    how, search, names = naming.fused(name)
    rows = [spec(one) for one in names]
    terms = "; ".join(dict.fromkeys(row.terms for row in rows))
    return ModelSpec(
        name="-".join(["fusion", how, search, *(row.name for row in rows)]),
        display_name=f"{' + '.join(row.display_name for row in rows)} ({how})",
        loader="",
        rate_hz=0,
        dim=sum(row.dim for row in rows),
        hop_s=float("inf") if any(row.hop_s for row in rows) else None,
        colour="#888888",
        citation="",
        trained_on=", ".join(dict.fromkeys(row.trained_on for row in rows)),
        scaled=any(row.scaled for row in rows),
        options={"terms": terms},
        is_given=True,
    )


def _with_own_weights(name: str, path: str) -> ModelSpec:
    """Row of a model whose weights are a file of the user's; how it was verified and trained isn't known."""
    require_known(name, [*CATALOGUE, "hear", "files", "ranking"], "what can stand before ':'")
    row = CATALOGUE[name]
    if row.weights is None:
        raise ValueError(f"{name} has no weights, and {path} can't take their place: leave it out")
    if os.path.isdir(path):
        raise ValueError(f"{path} is a folder: give the file, or for transformers the folder alone")
    safe, shown = naming.names_of(name, Path(path).stem, path=path)
    own = weights.Weights(Path(path).name, "your own", path, sha256=weights.content_digest(path), path=path)
    return replace(
        row,
        name=safe,
        display_name=f"{row.display_name} {shown}",
        variation_of="",
        colour="#888888",
        verified="",
        weights=own,
        paper={key: value for key, value in row.paper.items() if key not in ("weights", "verified")},
    )


def layers(name: str) -> list[str]:
    """Names of a folder's model after each layer, of "./folder@*"; any other name stands for itself.

    Raises
    ------
    ValueError
        If the folder's model has no layers to choose from.
    """
    base, star, words = name.rpartition("@*")
    of_folder = star and is_external(name) and not naming.parted(name)[0]
    if not of_folder or words[:1] not in ("", "+"):
        return [name]
    found = [f"{base}@{layer}{words}" for layer in _loader("transformers_folder").layers(base)]
    return found or [f"{base}@0{words}"]  # which is refused in words of its own


def file_name(name: str) -> str:
    """Return what the files of a model are called: its name, without what a path can't hold.

    Names that mean the same computation, such as "vggish" and "vggish+standard", have the same files.

    Examples
    --------
    >>> file_name("vggish+standard")
    'vggish'
    """
    return spec(name).name


def canonical(name: str) -> str:
    """Name of a model in the one spelling that stands for its computation: absolute, and no idle words.

    Examples
    --------
    >>> canonical("clap-2022+windows"), canonical("clap-2022+crop"), canonical("clap-2022+paper+crop")
    ('clap-2022', 'clap-2022+paper', 'clap-2022+paper')
    """
    row = spec(name)
    if name.startswith(naming.FUSION):
        how, search, names = naming.fused(name)
        return f"{naming.FUSION}{how}:{search}:{'&'.join(map(canonical, names))}"
    if not is_external(name):
        return row.name
    base, _ = naming.split(absolute(name))
    return "+".join([base, *row.name.split("+")[1:]])


def load(name: str | ModelSpec, device: str = "cpu") -> Extractor:
    """Load a model of the catalogue.

    Parameters
    ----------
    name : str or ModelSpec
    device : str
        Where a torch model runs: "cpu", "cuda", "mps", or "auto" for a CUDA GPU if there is one.

    Returns
    -------
    Extractor

    Raises
    ------
    ValueError
        If the model is unknown or its weights are not the published ones, or if half precision is asked for
        where there is no GPU.
    FileNotFoundError
        If its weights are missing.
    ImportError
        If a library that it needs is not installed; the message says how to install it.
    """
    row = name if isinstance(name, ModelSpec) else spec(name)
    try:
        network = _loader(row.loader).load(row, device)
    except ModuleNotFoundError as error:
        if not row.requires:
            raise
        raise ImportError(
            f"{row.name} needs {error.name}: install it with pip install -e .[{row.extra}]"
        ) from None
    if row.half:
        if not isinstance(network, Batched):
            raise ValueError(f"{row.name}: half precision is for networks in PyTorch only")
        network = replace(network, half=True)
    return Extractor(row, network)


def text_tower(row: ModelSpec) -> Callable[[str], np.ndarray] | None:
    """Text encoder of a model, which embeds words in the space of its sounds: words to [dim]; None without.

    The loader offers it as `text_tower(spec)`.
    """
    return _loader(row.loader).text_tower(row) if row.has_text else None


def has_text(name: str) -> bool:
    """Whether a model can be searched with words here."""
    return spec(name).has_text


def register(name: str, network: Callable | None = None, *, rate_hz: int, dim: int, **about: Any) -> Callable:
    """Add an audio representation to the catalogue, for as long as this Python runs.

    Parameters
    ----------
    name : str
        Letters, digits, ".", "_" and "-". Registering it again replaces it.
    network : callable, optional
        Wave float32 [n_samples] to frames [n_frames, dim]. Without it, decorates a function. With `window_s`
        it gets one window at a time, all of that length.
    rate_hz : int
    dim : int
    **about
        Other fields of `ModelSpec`; without `hop_s`, a clip has one embedding.

    Returns
    -------
    callable
        The network.

    Raises
    ------
    ValueError
        If the name isn't plain, or is that of a model that comes with the library; or if a field is unknown.

    Examples
    --------
    >>> @register("peak", rate_hz=16000, dim=1)
    ... def peak(wave):
    ...     return [[np.abs(wave).max()]]
    >>> load("peak")(np.array([0.25, -0.5]))
    array([[0.5]], dtype=float32)
    >>> del CATALOGUE["peak"]
    """
    if network is None:
        return partial(register, name, rate_hz=rate_hz, dim=dim, **about)
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(f"model name {name!r} is not plain: use letters, digits, '.', '_' and '-' only")
    if name in CATALOGUE and CATALOGUE[name].loader != "registered":
        raise ValueError(f"model {name!r} comes with the library: choose another name for yours")
    CATALOGUE[name] = _loader("registered").row(name, network, {"rate_hz": rate_hz, "dim": dim, **about})
    return network


def _loader(name: str) -> ModuleType:
    """Module that loads models of one family; it is imported by name, when it is needed."""
    return importlib.import_module(f"sss_lib.models.loaders.{name}")


def read_weights(row: ModelSpec) -> Path | None:
    """Path of a model's weights, found and checked as `weights.file.find` does; None if it has none.

    From then on `ModelSpec.parameters` has their digest, also where none is published.
    """
    return weights.find(row.name, row.weights) if row.weights else None


def fetch(name: str, **options: Any) -> Path | None:
    """Download a model's weights and tokenizer, if it has any and they are not there yet.

    Parameters
    ----------
    name : str
    **options
        See `sss_lib.io.download.fetch`: progress, retries, ...

    Returns
    -------
    Path or None
        Where they are; None for a model without weights.

    Raises
    ------
    ValueError
        If the model is unknown, or what came is not what was expected.
    FetchError
        If they could not be downloaded; the message tells the URL and where to put the file.
    """
    row = spec(name)
    found = weights.fetch(name, row.weights, **options) if row.weights else None
    if row.tokenizer:
        weights.fetch(name, row.tokenizer, **options)
    return found
