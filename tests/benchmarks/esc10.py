"""Macro MAP@15 of the small models on ESC-10, by cosine, each with its interval over uploaders.

    python tests/benchmarks/esc10.py measure DATA_DIR EMBEDDINGS [--models NAME ...]
    python tests/benchmarks/esc10.py show

DATA_DIR holds the collection as `python -m sss_lib data esc10` or tests/lay_esc10.py leaves it. What is
extracted is kept in EMBEDDINGS. `measure` writes the models' rows of figures/benchmarks/esc10.csv: mean and
max, with and without PCA 100, over the ten classes of the collection, and over all classes with their
ancestors. `show` draws each model's best beside it, and prints the table of data/README.md.
"""

import argparse
import itertools
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from sss_lib import artefacts, dataset, extraction, intervals, metrics, models, processing
from sss_lib.dataset.ground_truth import read_csv
from sss_lib.dataset.known import esc50
from sss_lib.evaluation import bounds, relevance
from sss_lib.experiment.scores import describe_system, over_groups
from sss_lib.figures import plots, tables, text

CSV = Path(__file__).parents[2] / "figures" / "benchmarks" / "esc10.csv"
NETWORKS = ("efficientat-mn04", "yamnet", "aisfx", "soundnet", "msd-musicnn", "mtt-musicnn", "msd-vgg")
MODELS = (*NETWORKS, "mtt-vgg", "freesound", "logmel", "duration")
TEN, EVERY = "class", "class, with ancestors"
"""What is relevant: a clip of the query's class among the ten, or among all."""


def systems_of(sounds, name, folder):
    """Ways to process and search a model's frames, as columns of a table, and what they make of the clips."""
    extraction.extract(sounds, name, folder / name, 2)  # in workers: beside PyTorch, TensorFlow can hang
    frames = extraction.read(artefacts.Artefact(folder / name / "parts.parquet", {}))
    assert len(frames.offsets) == len(sounds) + 1, f"{name} failed on some clips"
    row = models.spec(name)
    for how, n in itertools.product([one for one in row.aggregations if one != "median"], (None, 100)):
        if n and row.dim < n:
            continue
        system = {"model": name, "aggregation": how, "scale": row.scaled, "transform": "none"}
        system |= {"n_components": n, "normalize": not row.is_baseline, "pre_normalize": False}
        clips = processing.aggregate(frames.values, frames.offsets, how)
        x = processing.process(clips, n, normalize=system["normalize"], scale=row.scaled)
        yield {**system, "search": "mcss"}, x


def measured(sounds, names, folder):
    """Tidy scores of all systems, and of chance as a model of that name."""
    table = read_csv(esc50.CLASSES).set_index("category")["label"]
    ten = [table[category] for category in esc50.ESC10_CATEGORIES]
    columns = [sounds.labels.index(label) for label in ten]
    of = {TEN: (sounds.label_matrix[:, columns], ten), EVERY: (sounds.label_matrix, sounds.labels)}
    groups = relevance.origins(sounds.clips)
    found = [bounds.chance(*one).assign(model="chance", relevance=rule) for rule, one in of.items()]
    for name in names:
        for (system, x), (rule, (matrix, labels)) in itertools.product(
            systems_of(sounds, name, folder), of.items()
        ):
            queries = metrics.per_query(x, matrix, search="mcss", cutoffs=(15,))
            scores = intervals.summary(*queries, labels, groups=groups)
            found.append(scores.assign(**system, relevance=rule))
        print(name, flush=True)
    scores = pd.concat(found).assign(protocol="standard")
    return scores[scores["level"].eq("macro") & scores["metric"].eq("MAP") & scores["n"].eq(15)]


def read(path=CSV):
    """Scores over the ten classes, with the interval over uploaders, and those of chance."""
    scores = pd.read_csv(path, keep_default_na=False, na_values=[""]).astype({"n": "Int64"})
    scores = scores[scores["relevance"] == TEN]
    by_chance = scores["model"] == "chance"
    return over_groups(scores[~by_chance].astype({"scale": bool, "normalize": bool})), scores[by_chance]


def rows(path=CSV):
    """Lines of the table in data/README.md: each model's best system, best first."""
    scores, _ = read(path)
    best, names = plots.best_scores(scores), tables.display_names(scores)
    return [
        f"| {names[row['model']]} | {describe_system(row)} | {text.with_interval(row)} |"
        for _, row in best.iterrows()
    ]


def draw():
    """Save the ladder beside the scores."""
    plots.use_style()
    scores, by_chance = read()
    figure, ax = plt.subplots(figsize=(plots.PAGE, 0.6 + 0.3 * (scores["model"].nunique() + 1)))
    plots.ladder(scores, by_chance, ax)
    plots.save(figure, CSV.parent, CSV.stem)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    measure = commands.add_parser("measure")
    measure.add_argument("data_dir", type=Path)
    measure.add_argument("embeddings", type=Path)
    measure.add_argument("--models", nargs="*", default=MODELS)
    commands.add_parser("show")
    options = parser.parse_args()
    if options.command == "measure":
        scores = measured(dataset.load("esc10", options.data_dir), options.models, options.embeddings)
        if CSV.is_file():
            old = pd.read_csv(CSV)
            scores = pd.concat([old[~old["model"].isin(scores["model"])], scores])
        scores.to_csv(CSV, index=False, float_format="%.6f")
    else:
        draw()
        print(*rows(), sep="\n")
