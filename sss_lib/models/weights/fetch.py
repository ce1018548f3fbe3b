"""Downloading weights: those that are missing, held to what is known of them."""

from pathlib import Path
from typing import Any

from sss_lib.io import download
from sss_lib.models.weights.file import Weights, find, path_of, record, remote_of, state_of


def fetch(name: str, weights: Weights, **options: Any) -> Path:
    """Path of a model's weights, downloaded if they are missing, and the right ones.

    Parameters
    ----------
    name : str
        The model, for messages.
    weights : Weights
    **options
        See `sss_lib.download.fetch`: progress, retries, ...

    Returns
    -------
    Path

    Raises
    ------
    FetchError
        If the file can't be downloaded; the message says where to put it by hand.
    ValueError
        If what came isn't what was expected (see `find`; it is deleted), or the URL isn't https.
    """
    path = path_of(weights)
    if weights.url is None or path.is_file():
        return find(name, weights)
    if weights.non_commercial:
        print(f"{weights.file}: not for commercial use ({weights.licence}; {weights.source})", flush=True)
    sha256 = download.fetch(remote_of(name, weights), **options)
    if sha256 is None:  # another process was faster
        return find(name, weights)
    record(weights, state_of(path), sha256)
    return path
