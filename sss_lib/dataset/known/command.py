"""Known collections, listed and downloaded: what `python -m sss_lib data` prints."""

from pathlib import Path

from sss_lib.dataset import sources
from sss_lib.dataset.known import CATALOGUE
from sss_lib.io.names import require_known


def listing() -> str:
    """A line for each known collection: name, title, size, licence and source."""
    lines = []
    for name, one in CATALOGUE.items():
        n_bytes = sum(archive.n_unpacked_bytes for archive in one.archives)
        size = f"{n_bytes / 1e9:.1f} GB" if one.archives else "comes with the repository"
        lines.append(f"{name:14}{one.title:20}{size:27}{one.licence}; {one.source}")
    return "\n".join(lines)


def fetch(
    name: str, data_dir: Path | None = None, *, keep_parts: bool = True, labels_only: bool = False
) -> str:
    """Download a known collection, and return a sentence that says where it is.

    Parameters
    ----------
    name : str
    data_dir : Path, optional
        Gets a folder for it.
    keep_parts : bool
        Whether the archives stay once they are unpacked.
    labels_only : bool
        Whether only the ground truth is fetched.

    Raises
    ------
    ValueError
        If no collection has this name, a part is not the published one, or labels don't come alone.
    OSError
        If a part can't be downloaded or unpacked.
    """
    require_known(name, CATALOGUE, "the known datasets")
    sources.fetch(name, data_dir, keep_parts=keep_parts, labels_only=labels_only)
    _, root = sources.known_as(name, data_dir)
    if labels_only:
        return f"the labels of {CATALOGUE[name].title} are in {root}, without its audio"
    return (
        f"{CATALOGUE[name].title} is in {root}: `make verify DATASET={name}` says whether the copy is whole"
    )
