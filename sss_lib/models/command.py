"""Models, listed, and their weights downloaded: what `python -m sss_lib models` prints."""

import sys
from collections.abc import Iterable

from sss_lib.models import registry as models


def listing() -> str:
    """A line for each model of the catalogue: name, title, and the licence of its weights."""
    return "\n".join(
        f"{name:37}{row.display_name:32}{row.weights.licence if row.weights else 'no weights'}"
        for name, row in models.catalogue().items()
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
