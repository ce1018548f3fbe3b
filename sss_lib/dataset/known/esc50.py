"""ESC-50: 2,000 environmental recordings of five seconds in 50 classes."""

import functools
from pathlib import Path

from sss_lib.dataset import ground_truth
from sss_lib.dataset.ground_truth import GroundTruth
from sss_lib.dataset.known import mapped
from sss_lib.dataset.known.collection import ONTOLOGY_DIR, Archive, Collection, Expected, Part

CLASSES = ONTOLOGY_DIR / "esc50_classes.csv"
ZIP = "https://github.com/karolpiczak/ESC-50/archive/refs/heads/master.zip"
TOP = "ESC-50-master"


def read(root: Path) -> GroundTruth:
    """Ground truth of the collection in a folder.

    split is the fold, src_file the Freesound recording that a clip is cut from: several clips may share one.
    """
    audio_dir, table = root / TOP / "audio", root / TOP / "meta" / "esc50.csv"
    clips = ground_truth.read_csv(table, needs=("filename", "category", "fold", "target", "esc10"))
    clips = clips.assign(
        fname=[Path(name).stem for name in clips["filename"]],
        labels=mapped.labels(clips["category"], CLASSES),
        split="fold" + clips["fold"],
        licence=["CC-BY-3.0" if esc10 == "True" else "CC-BY-NC-3.0" for esc10 in clips["esc10"]],
    )
    files = ground_truth.audio_files(audio_dir)
    return ground_truth.of_table(
        clips.drop(columns=["filename", "fold", "target"]), files, where=str(table), audio_dir=str(audio_dir)
    )


def _expected() -> Expected:
    categories = ground_truth.read_csv(CLASSES)["category"]
    sizes = mapped.class_sizes(dict.fromkeys(categories, 40), CLASSES)
    return Expected(2000, len(sizes), sum(sizes.values()), sizes)


ESC50 = Collection(
    name="esc50",
    title="ESC-50",
    licence="CC BY-NC 3.0; the clips of ESC-10 CC BY 3.0",
    source="https://github.com/karolpiczak/ESC-50",
    folder="esc50",
    read=read,
    taxonomy=functools.partial(mapped.taxonomy, CLASSES),
    # The server packs this anew from the current state, so that no digest can be held to.
    archives=(Archive(TOP, (Part(ZIP, at_least=600_000_000),), 900_000_000),),
    expected=_expected,
)
