"""Embeddings and rankings that others have computed, in place of a model: "files:PATH" and "ranking:PATH".

Extraction asks for them by the clip's id and needs no audio. The forms are those of `io.given_files` and
`io.given_rankings`.
"""

import functools
import hashlib
import os
from pathlib import Path

from sss_lib.io.download import digest_of
from sss_lib.io.given_files import GivenEmbeddings, State, state_of
from sss_lib.io.given_rankings import GivenRanking
from sss_lib.models import naming
from sss_lib.models.spec import ModelSpec


def spec_of(name: str) -> ModelSpec:
    """Row of what lies under a path; its artefacts record a digest of the files, so that a change is noticed.

    Raises
    ------
    ValueError
        If there is nothing under the path, or nothing that can be read.
    """
    kind, _, path = name.partition(":")
    path = os.path.abspath(path)
    if kind == "ranking" and os.path.isdir(path):
        raise ValueError(f"{path} is a folder: give the file of one ranking, such as similarity_results.json")
    return _described(kind, path, state_of(path, anew=False))


def load(spec: ModelSpec, device: str) -> GivenEmbeddings | GivenRanking:
    """Return what gives the embeddings of a clip, by its id."""
    kind, path, digest = (spec.options[key] for key in ("kind", "path", "digest"))
    state = state_of(path)
    if _digest(state) != digest:
        raise ValueError(f"{path} has changed since its model was named: run again")
    return _read(kind, path, state)


@functools.lru_cache(maxsize=64)
def _described(kind: str, path: str, state: State) -> ModelSpec:
    given = _read(kind, path, state)
    name, display_name = naming.names_of(kind, Path(path).stem, path=path)
    return ModelSpec(
        name=name,
        display_name=display_name,
        loader="given",
        rate_hz=0,
        dim=given.dim,
        hop_s=float("inf") if given.is_frames else None,  # the files don't tell it
        colour="#888888",
        citation=path,
        options={"kind": kind, "path": path, "digest": _digest(state)},
        is_given=True,
    )


@functools.lru_cache(maxsize=64)
def _digest(state: State) -> str:
    lines = (f"{os.path.basename(file)} {digest_of(Path(file))}\n" for file, *_ in state)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@functools.lru_cache(maxsize=2)
def _read(kind: str, path: str, state: State) -> GivenEmbeddings | GivenRanking:
    return GivenRanking(path) if kind == "ranking" else GivenEmbeddings(path)
