"""What else may find sounds that mean the same: each step against the plain system, with its interval.

    python tests/benchmarks/beyond.py mini data data/embeddings/mini
    python tests/benchmarks/beyond.py esc10 DATA_DIR EMBEDDINGS --other mini data data/embeddings/mini
    python tests/benchmarks/beyond.py mini data data/embeddings/mini --perturb FIGURE_FOLDER
    python tests/benchmarks/beyond.py esc10 DATA_DIR EMBEDDINGS --feedback --models yamnet

EMBEDDINGS has a folder of frames a model, as notebook 01 or tests/benchmarks/esc10.py leaves it. The plain
system is mean, PCA 100, unit length, cosine. Prints macro MAP@15, of ESC-10 over its ten classes, and the
paired difference from the plain system, with its 95 % interval over uploaders; then the same where a query's
own uploader is left out. With --other: the order of models there, its PCA, and its clips as the corpus.
"""

import argparse
import functools
from pathlib import Path

import numpy as np
import pandas as pd

from sss_lib import artefacts, dataset, extraction, metrics, models, processing, search
from sss_lib.dataset.ground_truth import read_csv
from sss_lib.dataset.known import esc50
from sss_lib.evaluation import across, comparisons, intervals, learning, measures, relevance, ties
from sss_lib.evaluation.perturbation import perturb
from sss_lib.io import audio
from sss_lib.search.fusion import FUSIONS

MODELS = ("yamnet", "aisfx", "soundnet", "msd-musicnn", "logmel")
WAYS = {
    "no PCA": ("mean", None, "none"),
    "centred, no PCA": ("mean", None, "center"),
    "z-score, PCA 100": ("mean", 100, "standardize"),
    "whitened, PCA 100": ("mean", 100, "whiten"),
    "shrunk-whitened, PCA 100": ("mean", 100, "whiten-shrunk"),
    "without top 1, PCA 100": ("mean", 100, "remove-top-1"),
    "without top 3, PCA 100": ("mean", 100, "remove-top-3"),
    "first 100 dimensions": ("mean", None, "first-100"),
    "max, PCA 100": ("max", 100, "none"),
    "mean and deviation, PCA 100": ("meanstd", 100, "none"),
    "mean and deviation, z-score, PCA 100": ("meanstd", 100, "standardize"),
}
SEARCHES = ("mcss-csls10", "mcss-ls10", "mcss-mp", "mcss-qe5", "mcss-dba10")
AMOUNTS = {
    "level": [-20, 12],
    "noise": [20, 0],
    "codec": [64, 32],
    "crop": [0.5, 0.2],
    "reverb": [0.5, 2],
    "speed": [0.9, 1.5],
}
UNITS = dict(
    zip(AMOUNTS, ["dB", "dB over noise", "kbit/s", "share kept", "s to -60 dB", "factor"], strict=True)
)


class Collection:
    """Clips, labels and frames of each model."""

    def __init__(self, name, data_dir, embeddings, names):
        self.sounds, self.folder = dataset.load(name, data_dir), Path(embeddings)
        self.labels, columns = list(self.sounds.labels), slice(None)
        if name == "esc10":
            table = read_csv(esc50.CLASSES).set_index("category")["label"]
            self.labels = [table[category] for category in esc50.ESC10_CATEGORIES]
            columns = [self.sounds.labels.index(label) for label in self.labels]
        self.matrix = self.sounds.label_matrix[:, columns]
        self.groups = relevance.origins(self.sounds.clips)
        self.names = [one for one in names if (self.folder / one / "parts.parquet").is_file()]
        exclude = relevance.define("class", exclude=self.sounds.clips["uploader"])
        self.rules = {"": relevance.Relevance(), " without own uploader": exclude}

    @functools.cache  # noqa: B019
    def frames(self, name):
        found = extraction.read(artefacts.Artefact(self.folder / name / "parts.parquet", {}))
        assert list(found.fnames) == list(self.sounds.clips["fname"]), f"{name} lacks clips"
        return found

    def clips(self, name, how="mean"):
        frames, single = self.frames(name), not models.spec(name).hop_s
        return processing.aggregate(frames.values, frames.offsets, "none" if single else how)

    def scored(self, x, ranked, rule, **options):
        """Per-query results of a ranking, which a function makes by the groups to leave out."""
        of = {"cutoffs": (15,), "relevant": rule, "search": "mcss", **options}
        return metrics.per_query(x, self.matrix, ranking=ranked(rule.groups), **of)

    def score(self, results):
        found = intervals.summary(*results, self.labels, groups=self.groups)
        one = found[(found["metric"] == "MAP") & (found["level"] == "macro")].iloc[0]
        return "{value:.3f} [{group_ci_low:.3f}, {group_ci_high:.3f}]".format(**one)

    def difference(self, results, plain):
        found = comparisons.compare(results, plain, self.labels, groups=self.groups)
        one = found[(found["metric"] == "MAP") & (found["level"] == "macro")].iloc[0]
        return "{a:.3f} | {difference:+.3f} [{ci_low:+.3f}, {ci_high:+.3f}]".format(**one)


def by(x, how="mcss"):
    """Ranking of embeddings, as a function of the groups to leave out."""
    return lambda groups: search.rank(x, how, len(x) - 1, groups=groups)


def systems(own, name, other):
    """Ways beside the plain one: names to embeddings and what ranks them."""
    x = own.clips(name)
    plain = processing.process(x, 100)
    for what, (how, n, transform) in WAYS.items():
        if (how == "mean" or models.spec(name).hop_s) and (transform != "whiten" or len(x) > 101):
            yield what, processing.process(own.clips(name, how), n, transform=transform), "mcss"
    if other and name in other.names:
        yield "PCA 100 of the other collection", processing.fit(other.clips(name), 100)(x), "mcss"
    for how in SEARCHES:
        yield how, plain, how
    for how in learning.HEADS:
        head = learning.out_of_fold(x, own.matrix, own.groups, how)
        yield f"{how} head, 5 folds by uploader", head, "mcss"
        both = [processing.l2_normalize(one) for one in (plain, head)]
        yield f"{how} head beside the plain embedding", np.hstack(both), "mcss"


def of_frames(own, name):
    """Rankings frame by frame: names to functions of the groups to leave out."""
    frames, fitted = own.frames(name), processing.fit(own.clips(name), 100)
    values, first = fitted(frames.values), by(fitted(own.clips(name)))
    for how in ("maxsim", "chamfer"):
        of = (values, frames.offsets, how, len(own.sounds) - 1)
        yield f"{how} of frames", lambda groups, of=of: search.rank_frames(*of, groups=groups)

    def again(groups, how, band=None):
        found = first(groups)
        best = search.Ranking(found.neighbours[:, :150], found.scores[:, :150])
        return search.rank_frames(values, frames.offsets, how, groups=groups, candidates=best, band=band)

    yield "chamfer of the first 150", functools.partial(again, how="chamfer")
    yield "dtw of the first 150", functools.partial(again, how="dtw")
    yield "dtw in a band of 2 frames of the first 150", functools.partial(again, how="dtw", band=2)


def steps(own, other):
    """Print each step of each model beside the plain system; return the plain embeddings."""
    plain_of = {}
    for name in own.names:
        x = plain_of[name] = processing.process(own.clips(name), 100)
        plain = {rule: own.scored(x, by(x), one) for rule, one in own.rules.items()}
        print(f"\n{name}: plain", *(own.score(one) for one in plain.values()), sep=" | ", flush=True)
        ways = [(what, y, by(y, how)) for what, y, how in systems(own, name, other)]
        if models.spec(name).hop_s:
            ways += [(what, x, ranked) for what, ranked in of_frames(own, name)]
        for what, y, ranked in ways:
            found = [
                own.difference(own.scored(y, ranked, one), plain[rule]) for rule, one in own.rules.items()
            ]
            print("", what, *found, "", sep=" | ", flush=True)
        pairs = ties.near_duplicates(x, own.sounds.clips["fname"], 0.98)
        apart = relevance.Relevance(groups=ties.near_sets(pairs, len(x)), excluded="near duplicates")
        found = own.difference(own.scored(x, by(x), apart), plain[""])
        print(f" | {len(pairs)} pairs of cosine 0.98 left out | {found} |", flush=True)
    return plain_of


def fusions(own, plain_of):
    """Print fusions of two and of all models beside the best one."""
    alone = {name: own.scored(x, by(x), own.rules[""]) for name, x in plain_of.items()}
    value = {name: np.nanmean(one[1].scores("standard")["MAP", 15]) for name, one in alone.items()}
    order = sorted(value, key=lambda name: -value[name])
    for names in (order[:2], order[:3], order):
        for how in FUSIONS:
            fused, of_folds = {}, {}
            for rule, one in own.rules.items():
                rankings = [by(plain_of[name])(one.groups) for name in names]
                ranked = search.fuse(rankings, how, top_n=len(own.sounds) - 1)
                best = own.scored(plain_of[order[0]], by(plain_of[order[0]]), one)
                x = plain_of[order[0]]
                fused[rule] = own.difference(own.scored(x, lambda _, found=ranked: found, one), best)
                weighted, weights = learning.fuse_out_of_fold(
                    rankings, own.matrix, own.groups, how, top_n=len(x) - 1, excluded=one.groups
                )
                scored = own.scored(x, lambda _, found=weighted: found, one)
                plain = own.scored(x, lambda _, found=ranked: found, one)
                mean = weights.mean(axis=0).round(2).tolist()
                of_folds[rule] = f"{mean} | {own.difference(scored, best)} | {own.difference(scored, plain)}"
            print(f" | {how} of {', '.join(names)} | {' | '.join(fused.values())} |", flush=True)
            print(f" | weights of folds, mean | {' | '.join(of_folds.values())} |", flush=True)


def drawn(own, plain_of, metric, seed):
    """Scores of the models and of their draws."""
    of = {"measures": {"majority": measures.majority}, "cutoffs": (5, 15)}
    results = {name: own.scored(x, by(x), own.rules[""], **of) for name, x in plain_of.items()}
    measure, n = metric
    return comparisons.drawn_scores(results, own.labels, metric=measure, n=n, groups=own.groups, seed=seed)


def agreements(own, plain_of, other):
    """Print whether MAP and votes, and both collections, put the models in one order."""
    votes = [drawn(own, plain_of, metric, 0) for metric in (("MAP", 15), ("majority", 5))]
    print("\nMAP@15 and vote of 5:", comparisons.rank_agreement(*votes))
    if other:
        both = {name: x for name, x in plain_of.items() if name in other.names}
        theirs = {name: processing.process(other.clips(name), 100) for name in both}
        orders = drawn(own, both, ("MAP", 15), 0), drawn(other, theirs, ("MAP", 15), 1)
        print("\nthe two collections:", list(both), comparisons.rank_agreement(*orders))
        shared, *columns = across.shared_labels(own.labels, other.labels)
        labels = [one.matrix[:, column] for one, column in zip((own, other), columns, strict=True)]
        for name in both:
            fitted = processing.fit(other.clips(name), 100)
            x = [fitted(one.clips(name)) for one in (own, other)]
            found = across.per_query_across(*x, *labels, search="mcss", cutoffs=(15,))
            table = intervals.summary(*found, shared, groups=own.groups)
            one = table[(table["metric"] == "MAP") & (table["level"] == "macro")].iloc[0]
            text = "{value:.3f} [{group_ci_low:.3f}, {group_ci_high:.3f}] of {n_queries} queries".format(
                **one
            )
            print(f" | {name} asks the other, {len(shared)} classes | {text} |", flush=True)


def perturbed(own, names):
    """Macro MAP@15 of changed queries among the clips as they are: a table."""
    rows = []
    for name in names:
        spec, extractor = models.spec(name), models.load(name)
        waves = [audio.decode(path, spec.rate_hz) for path in own.sounds.clips["path"]]
        fitted = processing.fit(own.clips(name), 100)
        x = fitted(own.clips(name))
        plain = own.scored(x, by(x), own.rules[""])
        for how, amounts in AMOUNTS.items():
            for amount in amounts:
                changed = [perturb(wave, spec.rate_hz, how, amount, seed=i) for i, wave in enumerate(waves)]
                frames = [np.atleast_2d(extractor(wave)) for wave in changed]
                offsets = np.concatenate([[0], np.cumsum([len(one) for one in frames])])
                mean = processing.aggregate(np.vstack(frames), offsets, "mean" if spec.hop_s else "none")
                found = search.rank_outside(x, fitted(mean), "mcss", len(x))
                kept = found.neighbours[found.neighbours != np.arange(len(x))[:, None]].reshape(len(x), -1)
                ranking = search.Ranking(kept, np.zeros(kept.shape, np.float32))
                results = own.scored(x, lambda _, ranking=ranking: ranking, own.rules[""])
                table = comparisons.compare(results, plain, own.labels, groups=own.groups)
                one = table[(table["metric"] == "MAP") & (table["level"] == "macro")].iloc[0]
                row = {"model": name, "how": how, "amount": amount, **one[["a", "b", "difference"]]}
                rows.append({**row, **one[["ci_low", "ci_high"]]})
                print(" | {model} | {how} {amount} | {a:.3f} | {difference:+.3f}".format(**rows[-1]), end=" ")
                print("[{ci_low:+.3f}, {ci_high:+.3f}] |".format(**rows[-1]), flush=True)
    return pd.DataFrame(rows)


def feedback(own, names):
    """Print macro MAP@15 by the number of marks on results, of the first ones and of the most uncertain."""
    for name in names:
        x = processing.process(own.clips(name), 100)
        for ask in ("first", "uncertain"):
            found = learning.by_marks(x, own.matrix, ask=ask, groups=own.groups)
            for row in found.to_dict("records"):
                print(" | {} | {} | {way} | {n_marks} | {n_queries}".format(name, ask, **row), end=" | ")
                print("{before:.3f} | {after:.3f} |".format(**row), end=" ")
                print("{difference:+.3f} [{ci_low:+.3f}, {ci_high:+.3f}] |".format(**row), flush=True)


def draw(table, folder):
    """A panel a way: the share of its MAP@15 that each model keeps."""
    import matplotlib.pyplot as plt

    from sss_lib import plots

    plots.use_style()
    figure, axes = plt.subplots(2, 3, figsize=(2 * plots.COLUMN, 3.4), sharey=True, layout="constrained")
    looks = plots.looks(list(dict.fromkeys(table["model"])))
    for ax, (how, own) in zip(axes.flat, table.groupby("how", sort=False), strict=True):
        for name, of_model in own.groupby("model", sort=False):
            ends = [of_model["difference"] - of_model["ci_low"], of_model["ci_high"] - of_model["difference"]]
            places = [f"{amount:g}" for amount in of_model["amount"]]
            ax.errorbar(places, of_model["difference"], ends, capsize=2, **looks[name])
        ax.axhline(0, color="0.6", linewidth=0.8)
        ax.set(title=how, xlabel=UNITS[how])
    figure.supylabel("change of macro MAP@15")
    plots.legend(figure)
    plots.save(
        figure, folder, "robustness", "Macro MAP@15 of changed queries less that of the clips as they are."
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("collection", nargs=3)
    parser.add_argument("--other", nargs=3)
    parser.add_argument("--models", nargs="*", default=MODELS)
    parser.add_argument("--perturb", type=Path)
    parser.add_argument("--feedback", action="store_true")
    options = parser.parse_args()
    own = Collection(*options.collection, options.models)
    other = options.other and Collection(*options.other, options.models)
    if options.perturb:
        draw(perturbed(own, own.names), options.perturb)
    elif options.feedback:
        feedback(own, own.names)
    else:
        plain_of = steps(own, other)
        fusions(own, plain_of)
        agreements(own, plain_of, other)
