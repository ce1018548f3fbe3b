"""How fast the models listen to data/mini, as a table in Markdown: make bench

Clips, and seconds of audio, per second of wall time, start of the workers and loading included; and for
networks the share of one worker's wall time that is spent inside them: of all, and of what is left when the
model is loaded, where the rest is decoding and the front end that the network waits for. Models that need no
download: with one worker and with two. The others: with one worker, and weights that are stand-ins of the
published form and size.

Without arguments a model of each kind that is fast enough, and every 12th clip. With names of models those,
with --all every model; then all clips, where no download is needed, and else every 12th.
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
from sss_lib.models import registry  # noqa: E402
from sss_lib.models.catalogue import CATALOGUE  # noqa: E402
from sss_lib.models.frontends import batches  # noqa: E402
from sss_lib.models.loaders import essentia_graphs, essentia_import, openl3  # noqa: E402

STEP = 12
"""Of how many clips one is embedded by models with stand-ins, and by all where few are measured."""
SOME = ["duration", "logmel", "aisfx", "msd-musicnn", "yamnet", "vggish", "fsd-sinet-vgg42-tlpf_aps"]
SOME += ["openl3-music-mel256-emb512", "wav2clip", "clap-2023", "laion-clap-htsat-unfused"]


class Profile:
    """Wall time within networks, of PyTorch and of Essentia, and while loading, since the last look."""

    def __init__(self):
        self.network_s, self.loading_s = 0.0, 0.0
        batches.Batched._run = self.timed(batches.Batched._run, "network_s")
        registry.load = self.timed(registry.load, "loading_s")
        of_essentia = essentia_import.graph
        for module in (essentia_graphs, openl3):
            module.graph = lambda *args, **options: self.timed(of_essentia(*args, **options), "network_s")

    def timed(self, function, total: str):
        """Return the function with its wall time added to a total."""

        def timing(*args):
            begin = time.perf_counter()
            try:
                return function(*args)
            finally:
                setattr(self, total, getattr(self, total) + time.perf_counter() - begin)

        return timing

    def shares_of(self, seconds: float) -> str:
        """Return the network's share of some seconds, and of them without loading, and begin anew."""
        inside, loading_s = self.network_s, self.loading_s
        self.network_s = self.loading_s = 0.0
        return f"{inside / seconds:.0%}, {inside / (seconds - loading_s):.0%}" if inside else "-"


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
    profile = Profile()
    print("| model | clips/s | audio s/s | in the network: of all, but loading | two workers |")
    print("|---|---|---|---|---|")
    for name in list(CATALOGUE) if names == ["--all"] else names or SOME:
        row = models.spec(name)
        if row.missing():
            print(f"| `{name}` | needs {row.missing()} | | | |")
            continue
        stands_in = name in stand_ins.DOWNLOADED
        chosen = few if stands_in or not names else sounds
        one = with_stand_in(chosen, row) if stands_in else seconds_of(chosen, name, 1)
        inside = profile.shares_of(one)
        two = "" if stands_in else f"{one / seconds_of(chosen, name, 2):.2f}x"
        audio_s = durations_s[chosen.clips["fname"]].sum()
        print(f"| `{name}` | {len(chosen) / one:.1f} | {audio_s / one:.1f} | {inside} | {two} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
