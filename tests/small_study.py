"""A study small enough for tests: a dozen made-up sounds in many formats, three systems, hostile names."""

import csv

import numpy as np
import soundfile

from sss_lib import dataset, experiment, extraction, intervals, metrics, processing, search
from sss_lib.experiment.grid import Variant
from sss_lib.experiment.store import Store

NAME = "tiny"
RATE_HZ = 22050
HOSTILE = '<img src=x onerror="window.hacked=1">'
SYSTEMS = {
    Variant("logmel", "none", 3): "nns",
    Variant("logmel", "none", None, False): "mips",
    Variant("duration", "none"): "mcss",
}
FORMATS = {  # fname: format and subtype, where it isn't 16-bit wav
    "tone1": ("FLAC", "PCM_16", "flac"),
    "tone2": ("WAV", "IMA_ADPCM", "wav"),
    "noise1": ("AIFF", "PCM_16", "aiff"),
    "noise2": ("OGG", "VORBIS", "ogg"),
    "click1": ("MP3", "MPEG_LAYER_III", "mp3"),
}


def sounds():
    """The waves by fname: four tones, four noises, four runs of clicks, from 0.6 s to 3 s."""
    rng = np.random.default_rng(0)
    waves = {}
    for i in range(4):
        time_s = np.arange(round((0.6 + 0.8 * i) * RATE_HZ)) / RATE_HZ
        waves[f"tone{i}"] = 0.4 * np.sin(2 * np.pi * (300 + 150 * i) * time_s)
        waves[f"noise{i}"] = (0.05 + 0.1 * i) * rng.uniform(-1, 1, len(time_s))
        waves[f"click{i}"] = 0.8 * (np.arange(len(time_s)) % (2000 + 500 * i) < 20)
    return waves


def make(folder, *, labelled=True):
    """Make the study's data folder and return its store; without labels there is nothing but rankings."""
    audio = folder / NAME / "audio"
    audio.mkdir(parents=True)
    rows = [("fname", "labels", "uploader", "licence", "source", "title")]
    for fname, wave in sounds().items():
        kind, subtype, suffix = FORMATS.get(fname, ("WAV", "PCM_16", "wav"))
        soundfile.write(audio / f"{fname}.{suffix}", wave, RATE_HZ, format=kind, subtype=subtype)
        labels = {"tone": "Tone,Music", "nois": "Noise", "clic": "Click,Music"}[fname[:4]]
        labels += ",<b>Bold</b>" if fname == "tone3" else ""
        title = HOSTILE if fname == "tone0" else f"a {fname}"
        rows.append((fname, labels, HOSTILE, "CC0-1.0", "javascript:hack()", title))
    (audio / "broken.wav").write_text("not a sound")
    rows.append(("broken", "Noise", "ann", "CC-BY-3.0", "https://example.org/broken", "a broken one"))
    if labelled:
        with open(folder / NAME / "ground_truth.csv", "w", newline="") as file:
            csv.writer(file).writerows(rows)
        families = "label,family\nTone,Tones\nNoise,Noises\nClick,\nMusic,\n<b>Bold</b>,\n"
        (folder / NAME / "classes.csv").write_text(families)

    store, collection = Store(folder), dataset.load(folder / NAME)
    dataset.write(store.dataset(NAME), collection, dataset.verify(collection))
    collection = dataset.read(store.dataset(NAME))
    for variant, how in SYSTEMS.items():
        experiment.extract_to(store, collection, variant.model)
        frames = extraction.read(store.frames(NAME, variant.model))
        clips = processing.aggregate(frames.values, frames.offsets, variant.aggregation)
        fitted = processing.fit(clips, variant.n_components, variant.normalize)
        x, found = fitted(clips), collection.select(frames.fnames)
        store.fitted(NAME, variant).write(fitted.columns())
        store.embeddings(NAME, variant).write({"fname": frames.fnames, "embedding": x})
        ranking = search.rank(x, how, top_n=10)
        columns = {"fname": frames.fnames, "neighbours": ranking.neighbours, "scores": ranking.scores}
        store.ranking(NAME, variant, how, top_n=10).write(columns, ties=ranking.ties)
        if not labelled:
            continue
        queries = metrics.per_query(x, found.label_matrix, search=how, cutoffs=(3, 10), ranking=ranking)
        table = metrics.queries_table(*queries, found.clips["fname"], found.labels)
        store.per_query(NAME, variant, how, cutoffs=(3, 10)).write(table)
        values = metrics.summarise(*queries, found.labels, found.families)
        ends = intervals.bootstrap_intervals(*queries, found.labels, found.families, n_draws=20)
        scores = values.merge(ends, on=["metric", "n", "level", "name"])
        scores = scores.assign(dataset=NAME, **variant.parameters(), search=how)
        scores = scores.astype({"n_components": "Int64"})
        store.scores(NAME, variant, how, cutoffs=(3, 10)).write(scores)
    return store
