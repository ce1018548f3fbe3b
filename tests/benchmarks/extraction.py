"""How fast the embedded models listen, with one worker and with two: make bench

Seconds of audio per second of wall time over data/mini, start of the workers included, and the ratio of two
workers to one within one run.
"""

import sys
import tempfile
import time
from pathlib import Path

from sss_lib import dataset, extraction, models


def seconds_of(sounds: dataset.Dataset, model: str, n_jobs: int) -> float:
    """Wall time of an extraction from nothing."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        extraction.extract(sounds, model, Path(folder), n_jobs)
        return time.perf_counter() - begin


def main(names: list[str]) -> None:
    """Time each model and print the table."""
    sounds = dataset.load("mini")
    n_audio = dataset.verify(sounds)["duration_s"].sum()
    print(f"{'':16}{'clips/s':>10}{'audio s/s':>11}{'two workers':>13}")
    for name in names or [
        n for n, row in models.catalogue().items() if not row.weights or not row.weights.url
    ]:
        one, two = (seconds_of(sounds, name, n_jobs) for n_jobs in (1, 2))
        print(f"{name:16}{len(sounds) / one:10.1f}{n_audio / one:11.0f}{one / two:12.2f}x", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
