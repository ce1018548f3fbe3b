"""UrbanSound8K: 8,732 excerpts of urban sounds, up to four seconds long, in 10 classes."""

import functools
from pathlib import Path

from sss_lib.dataset import ground_truth
from sss_lib.dataset.ground_truth import GroundTruth
from sss_lib.dataset.known import mapped
from sss_lib.dataset.known.collection import ONTOLOGY_DIR, Archive, Collection, Expected, Part

CLASSES = ONTOLOGY_DIR / "urbansound8k_classes.csv"
TOP = "UrbanSound8K"
SIZES = {
    "air_conditioner": 1000,
    "car_horn": 429,
    "children_playing": 1000,
    "dog_bark": 1000,
    "drilling": 1000,
    "engine_idling": 1000,
    "gun_shot": 374,
    "jackhammer": 1000,
    "siren": 929,
    "street_music": 1000,
}
"""Clips by class, as published."""


def read(root: Path) -> GroundTruth:
    """Ground truth of the collection in a folder.

    split is the fold, fsID the Freesound recording that a clip is cut from: many clips may share one.
    """
    audio_dir, table = root / TOP / "audio", root / TOP / "metadata" / "UrbanSound8K.csv"
    clips = ground_truth.read_csv(table, needs=("slice_file_name", "class", "fold", "classID"))
    clips = clips.assign(
        fname=[Path(name).stem for name in clips["slice_file_name"]],
        labels=mapped.labels(clips["class"], CLASSES),
        split="fold" + clips["fold"],
        licence="CC-BY-NC-3.0",
    )
    folds = [audio_dir / f"fold{i}" for i in range(1, 11)]
    paths = [path for fold in folds if fold.is_dir() for path in ground_truth.audio_files(fold).values()]
    return ground_truth.of_table(
        clips.drop(columns=["slice_file_name", "fold", "classID"]),
        ground_truth.by_fname(paths, audio_dir),
        where=str(table),
        audio_dir=str(audio_dir),
    )


def _expected() -> Expected:
    sizes = mapped.class_sizes(SIZES, CLASSES)
    return Expected(8732, len(sizes), sum(sizes.values()), sizes)


URBANSOUND8K = Collection(
    name="urbansound8k",
    title="UrbanSound8K",
    licence="CC BY-NC 3.0",
    source="https://zenodo.org/records/1203745",
    folder="urbansound8k",
    read=read,
    taxonomy=functools.partial(mapped.taxonomy, CLASSES),
    archives=(
        Archive(
            TOP,
            (
                Part(
                    "https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz?download=1",
                    "9aa69802bbf37fb986f71ec1483a196e",
                ),
            ),
            7_100_000_000,
        ),
    ),
    expected=_expected,
)
