"""Files of weights: found, downloaded and checked against their digests.

Small weights come with the repository, in data/models/. The others live in the cache folder, beside
`weights.lock.json`: the sha256 that each had when it was first used, and its size and times then.
Weights that are absent raise an OSError, weights that are not the expected ones a ValueError.
"""

import contextlib
import functools
import hashlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sss_lib.io import download
from sss_lib.io.artefact import locked
from sss_lib.io.download import Remote, digest_of, write_json
from sss_lib.models.weights.formats import flaw

WEIGHTS_DIR = Path(__file__).parents[3] / "data" / "models"
"""The folder of the weights that come with the repository."""
LOCK = "weights.lock.json"
"""The file in the cache folder that keeps the digests."""


@dataclass(frozen=True)
class Weights:
    """A file of weights, with what lets it be found, trusted and used.

    Attributes
    ----------
    file : str
        Its name, without a folder.
    licence : str
    source : str
        Where it was published: a page, or words.
    url : str or None
        None if it comes with the repository.
    sha256 : str or None
        As published; None if none is published: then later uses are compared with the digest of the first
        use, whose file had the right format (`formats.flaw`).
    n_bytes : int or None
    non_commercial : bool
        The licence forbids commercial use. One with NC in its name always does.
    path : str
        Of a file of the user's own, where it lies.

    Raises
    ------
    ValueError
        If the name isn't a plain one, the URL isn't http(s), or a file of the repository has no sha256.

    Examples
    --------
    >>> Weights("x.pt", "CC BY-NC 4.0", "the authors' page", "https://example.org/x.pt").non_commercial
    True
    """

    file: str
    licence: str
    source: str
    url: str | None = None
    sha256: str | None = None
    n_bytes: int | None = None
    non_commercial: bool = False
    path: str = ""

    def __post_init__(self) -> None:
        if not self.path and (not re.fullmatch(r"\w[\w.+-]*", self.file) or self.file == LOCK):
            raise ValueError(f"file {self.file!r} is not a plain name: use letters, digits and . _ + - only")
        if self.url is not None and not re.match("https?://", self.url):
            raise ValueError(f"url {self.url!r} of {self.file} is not http(s): give an https URL")
        if self.url is None and self.sha256 is None:
            raise ValueError(f"{self.file} has neither url nor sha256: one in the repository needs a sha256")
        if re.search(r"\bNC\b", self.licence):
            object.__setattr__(self, "non_commercial", True)

    @classmethod
    def of_hugging_face(cls, repository: str, file: str, licence: str, *, saved_as: str = "") -> "Weights":
        """Weights in a repository of huggingface.co that publishes no digest.

        Parameters
        ----------
        repository, file : str
        licence : str
        saved_as : str
            Its name here; by default that of the file.
        """
        page = f"huggingface.co/{repository}"
        return cls(saved_as or file, licence, page, url=f"https://{page}/resolve/main/{file}")


def cache_dir() -> Path:
    """Folder of downloaded weights: `SSS_CACHE`, or semantic-sound-similarity/models in the user's cache."""
    if chosen := os.environ.get("SSS_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = base if base.is_absolute() else Path.home() / ".cache"  # XDG: a relative path counts as none
    return base / "semantic-sound-similarity" / "models"


def path_of(weights: Weights) -> Path:
    """Path at which the file is, or is to be put.

    Examples
    --------
    >>> path_of(Weights("a.pt", "MIT", "us", sha256="5bbb")) == WEIGHTS_DIR / "a.pt"
    True
    """
    if weights.path:
        return Path(weights.path)
    return (WEIGHTS_DIR if weights.url is None else cache_dir()) / weights.file


def digest(weights: Weights) -> str | None:
    """Return the sha256 that the file is held to: the published one, else that of its first use."""
    return weights.sha256 or _entries().get(weights.file, {}).get("sha256")


def find(name: str, weights: Weights) -> Path:
    """Path of a model's weights, which are there and are the right ones.

    A downloaded file is hashed when it is first used, and again when its size or times have changed; a file
    of the repository every time.

    Parameters
    ----------
    name : str
        The model, for messages.
    weights : Weights

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If the file is missing; the message says how to get it.
    ValueError
        If its size or sha256 isn't the published one or, where none is published, that of its first use; or
        if it can't be weights at all.
    """
    path, is_committed = path_of(weights), weights.url is None
    if weights.path:
        changed = "has changed since its model was named: run again"
        wrong = changed if content_digest(path) != weights.sha256 else flaw(path, path.name)
        if wrong:
            raise ValueError(f"{path}, your weights for {name}, {wrong}")
        return path
    get = "check out the repository again" if is_committed else f'run `make models MODELS="{name}"`'
    if not path.is_file():
        by_hand = "" if is_committed else f", or download {weights.url} and put it there"
        raise FileNotFoundError(f"{path}, the weights of {name}, is missing: {get}{by_hand}")
    state = state_of(path)
    entry = {} if is_committed else _entries().get(weights.file, {})
    unchanged = state.items() <= entry.items()
    sha256 = entry["sha256"] if unchanged else digest_of(path)
    if wrong := remote_of(name, weights).difference(state["n_bytes"], sha256) or implausible(weights, path):
        raise ValueError(f"{path}, the weights of {name}, {wrong}: delete it and {get}")
    if not (is_committed or unchanged):
        record(weights, state, sha256)
    return path


def fetch(name: str, weights: Weights, **options: Any) -> Path:
    """Path of a model's weights, downloaded if they are missing, and the right ones.

    Parameters
    ----------
    name : str
        The model, for messages.
    weights : Weights
    **options
        See `sss_lib.io.download.fetch`: progress, retries, ...

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


def remote_of(name: str, weights: Weights) -> Remote:
    """What is known of a model's weights before they come, the digest of their first use included."""
    entry = f"entry {weights.file!r} of {cache_dir() / LOCK}"
    first_use = f" as when first used (to accept the change, delete the {entry})"
    return Remote(
        weights.url or "",
        path_of(weights),
        f"the weights of {name}",
        weights.n_bytes,
        digest(weights),
        note="" if weights.sha256 else first_use,
        flaw=lambda path: implausible(weights, path),
    )


def implausible(weights: Weights, path: Path) -> str:
    """Return why nothing can be held to this file, in words: "" if it can, or a digest is known."""
    return "" if digest(weights) else flaw(path, weights.file)


def unusable(name: str, weights: Weights, error: Exception) -> ValueError:
    """Return the error to raise where weights that were found can't be loaded."""
    reason = str(error).partition("\n")[0]  # Essentia goes on with all nodes of the graph
    entry = "" if weights.sha256 else f" and the entry {weights.file!r} of {cache_dir() / LOCK}"
    remedy = "give another" if weights.path else f"delete it{entry}, and get the right file"
    return ValueError(f"{path_of(weights)}, the weights of {name}, can't be loaded ({reason}): {remedy}")


def _entries() -> dict[str, dict]:
    """Entries of the lock file, by file name."""
    return download.read_json(cache_dir() / LOCK, "digests", "record the digests again")


def record(weights: Weights, state: dict[str, int], sha256: str) -> None:
    """Enter a file into the lock file; do without if the digest is known and the folder can't be written."""
    path, known = cache_dir() / LOCK, digest(weights)
    with contextlib.suppress(OSError) if known else contextlib.nullcontext(), locked(path):
        entries = _entries()
        old = entries.get(weights.file, {})
        first_use = old["first_use"] if old.get("sha256") == sha256 else str(datetime.now(UTC).date())
        entry = {"sha256": sha256, "url": weights.url, "first_use": first_use, **state}
        write_json(path, {**entries, weights.file: entry})


def state_of(path: Path) -> dict[str, int]:
    """Size and times of a file. ctime also shows a new file with an old mtime, as archives unpack them."""
    stat = path.stat()
    return {"n_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "ctime_ns": stat.st_ctime_ns}


def content_digest(path: str | Path) -> str:
    """Digest of a user's file, or of all files of a folder and their names.

    Hashed again only where size or times have changed since this process last did it.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} doesn't exist: check the path in the model's name")
    if path.is_file():
        return _sha256_of(path, *state_of(path).values())
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(path)} {_sha256_of(file, *state_of(file).values())}\n".encode())
    return digest.hexdigest()


@functools.cache
def _sha256_of(path: Path, *state: int) -> str:
    return digest_of(path)
