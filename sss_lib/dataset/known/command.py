"""Fetch known collections: python -m sss_lib data NAME ... ; without a name, list them."""

import argparse
import sys
from pathlib import Path

from sss_lib.dataset import sources
from sss_lib.dataset.known import CATALOGUE
from sss_lib.io.names import require_known


def main(arguments: list[str] | None = None) -> int:
    """Fetch each collection named; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sss_lib data", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CATALOGUE))
    parser.add_argument("--data-dir", type=Path, help="gets a folder for each; by default data/")
    parser.add_argument("--delete-parts", action="store_true", help="once they are unpacked")
    options = parser.parse_args(arguments)
    if not options.names:
        for name, one in CATALOGUE.items():
            n_bytes = sum(archive.n_unpacked_bytes for archive in one.archives)
            size = f"{n_bytes / 1e9:.1f} GB" if one.archives else "comes with the repository"
            print(f"{name:14}{one.title:20}{size:27}{one.licence}; {one.source}")
    for name in options.names:
        try:
            require_known(name, CATALOGUE, "the known datasets")
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        try:
            sources.fetch(name, options.data_dir, keep_parts=not options.delete_parts)
        except (OSError, ValueError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(
                "\ninterrupted: what came is kept, and the same command goes on from there", file=sys.stderr
            )
            return 130
        title, (_, root) = CATALOGUE[name].title, sources.known_as(name, options.data_dir)
        print(f"{title} is in {root}: `make verify DATASET={name}` says whether the copy is whole")
    return 0
