"""A made-up study in the files of the CBMI 2024 code, without audio, and its scores by a slow plain version.

A dozen clips with frames of four numbers, a folder of clip embeddings, similarity_results.json, the filtered
ground truth and the families.
"""

import csv
import json

import numpy as np

LABELS = {
    "1001": "Bark,Dog,Animal",
    "1002": "Bark,Dog,Animal",
    "1003": "Dog,Animal",
    "1004": "Meow,Cat,Animal",
    "1005": "Meow,Cat,Animal",
    "1006": "Cat,Animal",
    "1007": "Rain,Water",
    "1008": "Rain,Water",
    "1009": "Water",
    "1010": "Bell,Music",
    "1011": "Bell,Music",
    "1012": "Music,Rain,Water",
}
FAMILIES = {"Animal sounds": ["Bark", "Dog", "Animal", "Meow", "Cat"], "Nature": ["Rain", "Water", "Wind"]}
OTHER = "2001"
"""A clip that the ground truth leaves out."""


def clips():
    """Frames by id: [n_frames, 4]."""
    rng = np.random.default_rng(2024)
    return {fname: rng.normal(size=(1 + i % 3, 4)).round(3) for i, fname in enumerate([*LABELS, OTHER])}


def ranked(n):
    """The n nearest clips to each, by the Euclidean distance of mean frames, as the 2024 code ranks."""
    means = {fname: frames.mean(axis=0) for fname, frames in clips().items() if fname in LABELS}
    found = {}
    for query, x in means.items():
        distances = {other: float(np.linalg.norm(x - y)) for other, y in means.items() if other != query}
        found[query] = sorted(distances.items(), key=lambda pair: pair[1])[:n]
    return found


def write(folder, n=11):
    """Write everything and return the folder."""
    for name in ("embeddings", "clips"):
        (folder / name).mkdir(parents=True)
    for fname, frames in clips().items():
        about = {"audio_path": f"/data/FSD50K.eval_audio/{fname}.wav"}
        for name, values in (("embeddings", frames), ("clips", frames.mean(axis=0))):
            content = {**about, "embeddings": values.tolist()}
            (folder / name / f"{fname}.json").write_text(json.dumps(content))
    with open(folder / "similarity_results.json", "w") as file:
        for query, found in ranked(n).items():
            results = [{"result_fname": fname, "score": score} for fname, score in found]
            line = {"query_fname": query, "results": results, "search": "nearest_neighbour"}
            file.write(json.dumps(line) + "\n")
    with open(folder / "nearest.run", "w") as file:
        for query, found in ranked(n).items():
            file.writelines(
                f"{query} Q0 {fname} {i} {-score} theirs\n" for i, (fname, score) in enumerate(found, 1)
            )
    with open(folder / "ground_truth.csv", "w", newline="") as file:
        csv.writer(file).writerows([("fname", "labels"), *LABELS.items()])
    (folder / "families.json").write_text(json.dumps(FAMILIES))
    return folder


def scores(n_results, cutoff):
    """Macro and micro MAP, families' MAP, and macro MR1 where all have one, as the 2024 code defines them."""
    of, lists = {fname: set(cell.split(",")) for fname, cell in LABELS.items()}, ranked(n_results)

    def average_precision(hits, n_relevant):
        total = sum(sum(hits[: k + 1]) / (k + 1) for k in range(len(hits)) if hits[k])
        return total / min(cutoff, n_relevant)

    def hits_of(query, classes):
        return [bool(of[fname] & classes) for fname, _ in lists[query]]

    by_class, first = {}, {}
    for label in sorted(set().union(*of.values())):
        members = [fname for fname in of if label in of[fname]]
        hits = [hits_of(query, {label}) for query in members]
        by_class[label] = np.mean([average_precision(own[:cutoff], len(members)) for own in hits])
        ranks = [own.index(True) for own in hits if True in own]
        if ranks:
            first[label] = np.mean(ranks)
    micro = [average_precision(hits_of(query, of[query])[:cutoff], cutoff) for query in of]
    families = {
        family: np.mean([by_class[label] for label in labels if label in by_class])
        for family, labels in FAMILIES.items()
    }
    return {
        "macro": np.mean(list(by_class.values())),
        "micro": np.mean(micro),
        "MR1": np.mean(list(first.values())),
        **families,
    }
