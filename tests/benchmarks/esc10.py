"""Macro MAP@15 of the embedded models on ESC-10, by cosine, each with its interval over uploaders.

    python tests/benchmarks/esc10.py DATA_DIR [EMBEDDINGS] [--models NAME ...]

DATA_DIR holds the collection as `python -m sss_lib data esc10` or tests/lay_esc10.py leaves it. What is
extracted is kept in EMBEDDINGS. Prints, for the best of mean and max, with and without PCA 100, the mean over
the ten classes of the collection and that over all classes with their ancestors.
"""

import argparse
import functools
import itertools
from pathlib import Path

from sss_lib import artefacts, dataset, extraction, intervals, metrics, models, processing
from sss_lib.dataset.ground_truth import read_csv
from sss_lib.dataset.known import esc50
from sss_lib.evaluation import relevance

EMBEDDED = ("yamnet", "aisfx", "soundnet", "msd-musicnn", "freesound", "logmel", "duration")


def clips_of(sounds, name, folder):
    """Ways to make one embedding of each clip: the aggregations' names to functions."""
    extraction.extract(sounds, name, folder / name, 1)
    frames = extraction.read(artefacts.Artefact(folder / name / "parts.parquet", {}))
    assert len(frames.offsets) == len(sounds) + 1, f"{name} failed on some clips"
    ways = [how for how in models.spec(name).aggregations if how != "median"]
    return {how: functools.partial(processing.aggregate, frames.values, frames.offsets, how) for how in ways}


def best(sounds, name, folder):
    """The best way's name, and its macro MAP@15 with the interval: of the ten classes, and of all."""
    table = read_csv(esc50.CLASSES).set_index("category")["label"]
    ten = [table[category] for category in esc50.ESC10_CATEGORIES]
    columns = [sounds.labels.index(label) for label in ten]
    groups, found = relevance.origins(sounds.clips), {}
    dim = models.spec(name).dim
    for (how, make), n in itertools.product(clips_of(sounds, name, folder).items(), (None, 100)):
        if n and dim < n:
            continue
        x = processing.process(make(), n, normalize=name != "duration", scale=models.spec(name).scaled)
        rows = []
        for labels, matrix in ((ten, sounds.label_matrix[:, columns]), (sounds.labels, sounds.label_matrix)):
            queries = metrics.per_query(x, matrix, search="mcss", cutoffs=(15,))
            of_system = intervals.summary(*queries, labels, sounds.families, groups=groups)
            macro = of_system[(of_system["level"] == "macro") & (of_system["metric"] == "MAP")].iloc[0]
            rows.append("{value:.3f} [{group_ci_low:.3f}, {group_ci_high:.3f}]".format(**macro))
        found[f"{how}, {'PCA 100' if n else 'no PCA'}"] = rows
    return max(found.items(), key=lambda one: one[1][0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("embeddings", type=Path, nargs="?", default=Path("data/embeddings/esc10"))
    parser.add_argument("--models", nargs="*", default=EMBEDDED)
    options = parser.parse_args()
    sounds = dataset.load("esc10", options.data_dir)
    print("| system | processing | ten classes | with their ancestors |\n|---|---|---|---|")
    for name in options.models:
        how, (ten, every) = best(sounds, name, options.embeddings)
        print(f"| {models.spec(name).display_name} | {how} | {ten} | {every} |", flush=True)
