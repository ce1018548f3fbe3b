"""Audio representations by name: `catalogue()` says which there are, `load(name)` gives one to call."""

import difflib
import importlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sss_lib.models import naming as outside
from sss_lib.models.catalogue import CATALOGUE
from sss_lib.models.frontends.batches import Batched
from sss_lib.models.naming import absolute, is_outside
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import fetch as download
from sss_lib.models.weights.file import find

__all__ = [
    "Extractor",
    "ModelSpec",
    "absolute",
    "canonical",
    "catalogue",
    "fetch",
    "file_name",
    "has_text",
    "is_outside",
    "load",
    "read_weights",
    "register",
    "spec",
    "text_tower",
]


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
        A model, such as "vggish"; with words behind it, such as "vggish+paper", the same with its audio
        prepared otherwise (`ModelSpec.prepared`). "hear:module" or "hear:module:weights" is any importable
        encoder with HEAR's interface, and "./folder" an audio model of transformers in a local folder.

    Raises
    ------
    ValueError
        If there is no such model; the message has the nearest name. Or if a word doesn't suit it.
    """
    if is_outside(name):
        base, words = outside.split(name)
        loader = _loader("hear" if base.startswith(outside.HEAR) else "transformers_audio")
        return loader.spec_of(base).prepared(*words)
    name, *words = name.split("+")
    if name not in CATALOGUE:
        near = difflib.get_close_matches(name.lower(), CATALOGUE, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        hint = f"for the folder of that name write './{name}'. " if Path(name).is_dir() else hint
        raise ValueError(
            f"model {name!r} is not in the catalogue: {hint}It has {', '.join(CATALOGUE)}, and what "
            "models.register adds in this very notebook or program"
        )
    return CATALOGUE[name].prepared(*words)


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
    if not is_outside(name):
        return row.name
    base, _ = outside.split(absolute(name))
    return "+".join([base, *row.name.split("+")[1:]])


@dataclass(frozen=True)
class Extractor:
    """A loaded model: call it with a waveform to get frame embeddings.

    Attributes
    ----------
    spec : ModelSpec
    network : callable
        Waveform to frames, as the loader gave it. Where it has a method `embed`, that takes many waves.
    """

    spec: ModelSpec
    network: Callable[[np.ndarray], np.ndarray]

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """Frame embeddings of a waveform.

        Parameters
        ----------
        wave : np.ndarray [shape=(n_samples,), dtype=float32]
            Mono, at `spec.rate_hz`, full scale +-1.

        Returns
        -------
        np.ndarray [shape=(n_frames, dim), dtype=float32]
            At least one frame, whatever the length.

        Raises
        ------
        ValueError
            If the wave isn't a non-empty vector or the result isn't finite.
        """
        return self.embed([wave])[0]

    def embed(self, waves: Iterable[np.ndarray]) -> list[np.ndarray]:
        """Frame embeddings of each wave, computed together where the network can; see `__call__`."""
        prepared = map(self._prepare, waves)
        if hasattr(self.network, "embed"):
            embedded = self.network.embed(prepared)
        else:
            embedded = map(self.network, prepared)
        return [self._check(frames) for frames in embedded]

    def _prepare(self, wave: np.ndarray) -> np.ndarray:
        if np.ndim(wave) != 1 or not len(wave):
            raise ValueError(f"{self.spec.name} takes a non-empty mono waveform, not shape {np.shape(wave)}")
        wave = np.ascontiguousarray(wave, np.float32)
        if self.spec.gain_db:
            wave = np.clip(wave * np.float32(10 ** (self.spec.gain_db / 20)), -1, 1)
        return wave

    def _check(self, frames: np.ndarray) -> np.ndarray:
        frames = np.asarray(frames, np.float32)
        if frames.ndim != 2 or frames.shape[1] != self.spec.dim or not len(frames):
            raise ValueError(
                f"{self.spec.name} gave shape {frames.shape}, not (n_frames, {self.spec.dim}): mend its "
                "loader or its row in the catalogue"
            )
        if not np.isfinite(frames).all():
            raise ValueError(f"{self.spec.name} gave values that are not finite")
        return frames


def load(name: str | ModelSpec, device: str = "cpu") -> Extractor:
    """Load a model of the catalogue.

    Parameters
    ----------
    name : str or ModelSpec
    device : str
        Where a torch model runs: "cpu", "cuda", or "auto" for a GPU if there is one.

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
    row = spec(name) if isinstance(name, str) else name
    loader = _loader(row.loader)
    network = loader.load(row, device)
    if row.half:
        if not isinstance(network, Batched):
            raise ValueError(f"{row.name}: half precision is for networks in PyTorch only")
        network = replace(network, half=True)
    return Extractor(row, network)


def text_tower(row: ModelSpec) -> Callable[[str], np.ndarray] | None:
    """What embeds words in the space of a model's sounds: words to [dim]; None where there is none here.

    A loader offers it as `text_tower(spec)`, which is cheap and gives None where its weights are missing.
    """
    loader = _loader(row.loader)
    return loader.text_tower(row) if hasattr(loader, "text_tower") else None


def has_text(name: str) -> bool:
    """Whether a model can be searched with words here."""
    return text_tower(spec(name)) is not None


def register(name: str, network: Callable | None = None, *, rate_hz: int, dim: int, **about: Any) -> Callable:
    """Add an audio representation of your own to the catalogue, for as long as this Python runs.

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
    if name in CATALOGUE and CATALOGUE[name].loader != "own":
        raise ValueError(f"model {name!r} comes with the library: choose another name for yours")
    CATALOGUE[name] = _loader("own").row(name, network, {"rate_hz": rate_hz, "dim": dim, **about})
    return network


def _loader(name: str) -> ModuleType:
    """Module that loads models of one family; it is imported by name, when it is needed."""
    return importlib.import_module(f"sss_lib.models.loaders.{name}")


def read_weights(row: ModelSpec) -> Path | None:
    """Path of a model's weights, if it has any, which are there and are the right ones; see `weights.find`.

    From then on `ModelSpec.parameters` has their digest, also where none is published.
    """
    return find(row.name, row.weights) if row.weights else None


def fetch(name: str, **options: Any) -> Path | None:
    """Download a model's weights, if it has any and they are not there yet.

    Parameters
    ----------
    name : str
    **options
        See `sss_lib.download.fetch`: progress, retries, ...

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
    return download.fetch(name, row.weights, **options) if row.weights else None
