"""Kill a small study, which this process repeats in forks, at chosen and random writes; print what came.

python tests/killed.py FOLDER KILLS
"""

import os
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import soundfile

from sss_lib import dataset, experiment, extraction, processing, search
from sss_lib.experiment.store import Store
from sss_lib.experiment.variant import Variant
from sss_lib.io.artefact import Artefact
from sss_lib.io.sealed import require_intact

VARIANTS = [Variant("duration", "none"), Variant("logmel", "none", 3)]


def sounds(folder):
    for i in range(8):
        path = folder / "abcd"[i % 4] / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * np.sin(np.arange(4000 + 500 * i) * 0.1 * (1 + i)), 16000)


def study(folder):
    """Make of the study what isn't current, as the notebooks do."""
    store = Store(folder / "data")
    found = dataset.load(folder / "sounds")
    table = store.dataset("sounds", source=dataset.fingerprint(found))
    if not table.is_current():
        dataset.write(table, found, dataset.verify(found))
    found = dataset.read(store.dataset("sounds"))
    for variant in VARIANTS:
        frames = store.frames("sounds", variant.model)
        if not frames.is_current():
            experiment.extract_to(store, found, variant.model)
        embeddings, fitted = store.embeddings("sounds", variant), store.fitted("sounds", variant)
        if not (embeddings.is_current() and fitted.is_current()):
            rows = extraction.read(frames)
            clips = processing.aggregate(rows.values, rows.offsets, variant.aggregation)
            processed = processing.fit(clips, variant.n_components, variant.normalize)
            fitted.write(processed.columns())
            embeddings.write({"fname": rows.fnames, "embedding": processed(clips)})
        ranking = store.ranking("sounds", variant, "nns", top_n=5)
        if not ranking.is_current():
            ranked = search.rank(np.array(embeddings.mapped("embedding")), "nns", top_n=5)
            ranking.write({"neighbours": ranked.neighbours, "scores": ranked.scores})


def digests(folder):
    """Of all artefacts, each of which must be whole under its own name."""
    paths = [path for path in sorted(folder.rglob("*.parquet")) if not path.name.startswith(".")]
    for path in paths:
        require_intact(path)
    wholes = [path for path in paths if path.name != "leaderboard.parquet"]
    return {str(path.relative_to(folder)): Artefact(path, {}).digest() for path in wholes}


def in_fork(folder, at, kind):
    """Run the study in a fork that kills itself at the at-th write; whether it came to its end."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1] == 0
    n = 0

    def look(event, arguments):
        nonlocal n
        name = {"os.rename": "replace", "os.remove": "unlink", "os.mkdir": "mkdir", "open": "open"}.get(event)
        is_write = name and not (name == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR))
        if is_write and str(folder / "data") in str(arguments[0]) and kind in (None, name):
            n += 1
            if n == at:
                os.kill(os.getpid(), 9)

    sys.addaudithook(look)
    try:
        study(folder)
        os._exit(0)
    finally:
        os._exit(1)


def main(folder, n_wanted):
    rng = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    sounds(folder / "sounds")
    study(folder)
    wanted = digests(folder / "data")
    n_kills = n_ends = 0
    chosen = [(kind, at) for kind in ("open", "replace", "unlink") for at in range(1, 9)]
    while n_kills < n_wanted:
        shutil.rmtree(folder / "data", ignore_errors=True)
        ended = False
        while not ended:
            kind, at = chosen.pop() if chosen else (None, rng.randrange(1, 40))
            ended = in_fork(folder, at, kind)
            n_kills += not ended
            half = digests(folder / "data")
            assert half.items() <= wanted.items(), "a half or another artefact under its own name"
        n_ends += 1
        Store(folder / "data").clear_leftovers()
        assert digests(folder / "data") == wanted
        hidden = [path.name for path in folder.rglob(".*")]
        left = [name for name in hidden if not name.endswith((".lock", ".embedding.npy"))]
        assert not left, left
    print(f"{n_kills} kills, {n_ends} studies resumed to the same {len(wanted)} digests, nothing left")
    return n_kills


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
