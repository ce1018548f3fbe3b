"""Download weights by name: python -m sss_lib models NAME ... ; without a name, list the models."""

import sys

from sss_lib.models import registry as models


def main(names: list[str]) -> int:
    """Download the weights of each model named; return the exit code."""
    if not names:
        for name, row in models.catalogue().items():
            print(f"{name:37}{row.display_name:32}{row.weights.licence if row.weights else 'no weights'}")
    failed = 0
    for name in names:
        try:
            path = models.fetch(name)
            print(f"{name}: {path or 'has no weights'}")
        except (OSError, ValueError) as error:
            print(f"error: {error}", file=sys.stderr)
            failed = 1
    return failed
