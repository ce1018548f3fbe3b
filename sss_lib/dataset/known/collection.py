"""A known collection: where it is published, what a whole copy has, and how to fetch it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sss_lib.dataset.ground_truth import DatasetError, GroundTruth
from sss_lib.dataset.taxonomy import Taxonomy
from sss_lib.io import archives, download
from sss_lib.io.artefact import locked

ONTOLOGY_DIR = Path(__file__).parents[3] / "data" / "ontology"
"""The folder of the tables of classes that come with the repository."""
PARTS_DIR = "archives"
"""The folder, in that of a collection, that holds what was downloaded."""
RECEIPTS = "checked.json"
"""The file there that lists checked parts, with their md5, size and time of change."""


@dataclass(frozen=True)
class Part:
    """A file to download.

    Attributes
    ----------
    url : str
    md5 : str or None
        As published; None where the server packs the file again for each download.
    n_bytes : int or None
    at_least : int
        Lower bound of its size, for when neither n_bytes nor the server tells it.
    """

    url: str
    md5: str | None = None
    n_bytes: int | None = None
    at_least: int = 0

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.url.partition("?")[0].rpartition("/")[2]


@dataclass(frozen=True)
class Archive:
    """An archive and the folder that it unpacks to.

    Attributes
    ----------
    folder : str
        The archive's top folder.
    parts : tuple of Part
        One; or those of a split zip, .z01, .z02, ... and .zip last.
    n_unpacked_bytes : int
        0 where it is little.
    is_read : bool
        Whether the dataset needs it: pages about a collection are not read.
    is_ground_truth : bool
        Whether it has the labels, without audio.
    """

    folder: str
    parts: tuple[Part, ...]
    n_unpacked_bytes: int = 0
    is_read: bool = True
    is_ground_truth: bool = False


@dataclass(frozen=True)
class Expected:
    """Published numbers of a collection.

    Attributes
    ----------
    n_clips, n_classes, n_labels : int
        n_labels counts the labels of all clips.
    class_sizes : mapping of str to int
        Clips by class; empty if unknown.
    hours : float or None
        To one decimal.
    rate_hz, n_channels : int or None
        Of every clip.
    """

    n_clips: int
    n_classes: int
    n_labels: int
    class_sizes: Mapping[str, int] = field(default_factory=dict)
    hours: float | None = None
    rate_hz: int | None = None
    n_channels: int | None = None


@dataclass(frozen=True)
class Collection:
    """A collection that is known by name.

    Attributes
    ----------
    name, title, licence, source : str
        `source` is the page where it is published.
    folder : str
        Where it is in the data folder.
    read : callable
        Ground truth of the collection in a folder.
    taxonomy : callable
        Its vocabulary.
    archives : tuple of Archive
        None for one that comes with the repository.
    expected : callable or None
        What a whole copy has.
    """

    name: str
    title: str
    licence: str
    source: str
    folder: str
    read: Callable[[Path], GroundTruth]
    taxonomy: Callable[[], Taxonomy]
    archives: tuple[Archive, ...] = ()
    expected: Callable[[], Expected] | None = None

    def missing(self, root: Path) -> list[Archive]:
        """Archives without a folder; none if the dataset needs none of these."""
        absent = [archive for archive in self.archives if not (root / archive.folder).is_dir()]
        return absent if any(archive.is_read for archive in absent) else []

    def check_exists(self, root: Path) -> None:
        """Raise DatasetError with the remedy if there is no copy, or anything of it is missing."""
        remedy = f"run `make data DATASET={self.name}`" if self.archives else "check out the repository again"
        if not root.is_dir():
            raise DatasetError(
                f"{root}, the dataset {self.name!r}, does not exist: check data_dir, or {remedy}"
            )
        if missing := self.missing(root):
            folders = ", ".join(archive.folder for archive in missing)
            raise DatasetError(f"{root} lacks {folders} of {self.title}: {remedy}")

    def remotes(self, root: Path, archive: Archive | None = None) -> list[download.Remote]:
        """Parts of one archive, or of all, with their places."""
        parts = archive.parts if archive else [part for one in self.archives for part in one.parts]
        what, folder = f"part of {self.title}", root / PARTS_DIR
        return [
            download.Remote(part.url, folder / part.file, what, part.n_bytes, part.md5, "md5")
            for part in parts
        ]


def fetch(
    collection: Collection,
    root: Path,
    *,
    labels_only: bool = False,
    keep_parts: bool = True,
    progress: bool = True,
    **options: Any,
) -> None:
    """Download, check and unpack the missing archives of a collection.

    A broken or killed run resumes where it stopped. Parts that were put into `{root}/archives/` by hand are
    checked and used.

    Parameters
    ----------
    collection : Collection
    root : Path
        Its folder.
    labels_only : bool
        Whether only the ground truth is fetched, which is small.
    keep_parts : bool
        Whether the archives stay after they are unpacked.
    progress : bool
        Show progress bars.
    **options
        See `download.fetch`.

    Raises
    ------
    OSError
        If the disk has too little space, before the first download; or if a part can't be downloaded.
    ValueError
        If a part isn't the published one or can't be unpacked, or there are no labels without audio.
    """
    for archive in collection.archives:
        archives.discard_unfinished(root / archive.folder)
    missing = collection.missing(root)
    if labels_only:
        missing = [archive for archive in missing if archive.is_ground_truth]
        if not any(archive.is_ground_truth for archive in collection.archives):
            raise ValueError(f"{collection.title} has no labels without its audio: leave out LABELS")
    if not missing:
        return
    remotes = [remote for archive in missing for remote in collection.remotes(root, archive)]
    _check_space(collection, root, missing, progress)
    for remote in remotes:
        check(remote, download.fetch(remote, progress=progress, **options))
    for archive in missing:
        paths = [remote.path for remote in collection.remotes(root, archive)]
        archives.unpack(paths, root / archive.folder, progress=progress)
        for path in [] if keep_parts else paths:
            path.unlink()


def _check_space(collection: Collection, root: Path, missing: list[Archive], progress: bool) -> None:
    """Raise OSError if the disk has no room for these archives; else print how much is to come."""
    coming = [
        (part, remote)
        for archive in missing
        for part, remote in zip(archive.parts, collection.remotes(root, archive), strict=True)
        if not remote.path.is_file()
    ]
    sizes = [part.n_bytes or download.size_of(part.url) for part, _ in coming]
    n_bytes = 0
    for (part, remote), size in zip(coming, sizes, strict=True):
        begun = download.part_of(remote.path)
        n_begun = begun.stat().st_size if begun.exists() else 0
        n_bytes += max(0, (size or part.at_least) - n_begun)
    n_unpacked = sum(archive.n_unpacked_bytes for archive in missing)
    archives.require_space(root, n_bytes + n_unpacked, f"fetch {collection.title}")
    if progress:
        at_least = "" if all(sizes) else f"at least ({sizes.count(None)} of unknown size) "
        print(
            f"{collection.title}: {len(coming)} files, {at_least}{n_bytes / 1e9:.2f} GB to download and "
            f"{n_unpacked / 1e9:.2f} GB unpacked, into {root}\n"
            f"Licence: {collection.licence} ({collection.source})",
            flush=True,
        )


def check(remote: download.Remote, digest: str | None = None) -> None:
    """Raise ValueError if a part isn't the published one; else note its md5, so that it is hashed once.

    Parameters
    ----------
    remote : Remote
    digest : str, optional
        Its md5, if that is known already.
    """
    path, noted = remote.path, receipts(remote.path.parent).get(remote.path.name, {})
    state = {"n_bytes": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns}
    # A part has up to 3 GB: it is hashed again only if its size, time or published md5 changed.
    if noted.items() >= state.items() and noted.get("md5") == (remote.digest or noted.get("md5")):
        return
    digest = digest or download.digest_of(path, remote.algorithm)
    if wrong := remote.difference(state["n_bytes"], digest):
        raise ValueError(f"{path} {wrong}: delete it, and run the same again to download it")
    with locked(path.parent / RECEIPTS):  # read again: another run may have noted its own parts
        entries = receipts(path.parent) | {path.name: {"md5": digest, **state}}
        download.write_json(path.parent / RECEIPTS, entries)


def receipts(parts_dir: Path) -> dict[str, dict]:
    """Checked parts by file name: md5, size and time of change."""
    return download.read_json(parts_dir / RECEIPTS, "parts", "have the parts checked anew")
