"""Models, listed, and their weights downloaded: what `python -m sss_lib models` prints."""

import sys
from collections.abc import Iterable

from sss_lib.models import registry as models


def listing() -> str:
    """A line for each model of the catalogue: name, title, dimensions, where its weights are, licence."""
    rows = [("name", "model", "dim", "weights", "licence")]
    for name, row in models.catalogue().items():
        where = "-" if not row.weights else "fetched" if row.weights.url else "here"
        rows.append((name, row.display_name, str(row.dim), where, row.terms))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def fetch_all(names: Iterable[str]) -> bool:
    """Download the weights of each model named, and print where they are; return whether all came."""
    came = True
    for name in names:
        try:
            path = models.fetch(name)
            print(f"{name}: {path or 'has no weights'}")
        except (OSError, ValueError) as error:  # the others come
            print(f"error: {error}", file=sys.stderr)
            came = False
    return came
