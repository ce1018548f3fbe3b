"""How fast the models listen to data/mini, as a table in Markdown: make bench

Clips, and seconds of audio, per second of wall time, start of the workers and loading included. Models that
need no download: all clips, with one worker and with two. The others: every 12th clip with one worker, and
weights that are stand-ins of the published form and size. With names of models as arguments, only those.
"""

import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent / "data" / "models")]

import stand_ins  # noqa: E402

from sss_lib import dataset, extraction, models  # noqa: E402
from sss_lib.models.catalogue import CATALOGUE  # noqa: E402

STEP = 12
"""Of how many clips one is embedded by models with stand-ins."""


def seconds_of(sounds: dataset.Dataset, model: str, n_jobs: int) -> float:
    """Wall time of an extraction from nothing, of which no clip may fail."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        report = extraction.extract(sounds, model, Path(folder), n_jobs)
        seconds = time.perf_counter() - begin
    assert report.failures.empty, report.failures["reason"].iloc[0]
    return seconds


def with_stand_in(sounds: dataset.Dataset, row: models.ModelSpec) -> float:
    """Wall time with one worker, on weights that are no published ones."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SSS_CACHE"] = folder
        stand_ins.write(row, Path(folder))
        CATALOGUE[row.name] = replace(row, weights=replace(row.weights, sha256=None, n_bytes=None))
        return seconds_of(sounds, row.name, 1)


def main(names: list[str]) -> None:
    """Time each model and print the table."""
    sounds = dataset.load("mini")
    durations_s = dataset.verify(sounds).set_index("fname")["duration_s"]
    few = sounds.select(sounds.clips["fname"].tolist()[::STEP])
    print("| model | clips/s | audio s/s | two workers |\n|---|---|---|---|")
    for name in names or list(CATALOGUE):
        row = models.spec(name)
        if row.missing():
            print(f"| `{name}` | needs {row.missing()} | | |")
            continue
        stands_in = name in stand_ins.DOWNLOADED
        chosen = few if stands_in else sounds
        one = with_stand_in(chosen, row) if stands_in else seconds_of(chosen, name, 1)
        two = "" if stands_in else f"{one / seconds_of(chosen, name, 2):.2f}x"
        audio_s = durations_s[chosen.clips["fname"]].sum()
        print(f"| `{name}` | {len(chosen) / one:.1f} | {audio_s / one:.1f} | {two} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
