"""Vocal imitations and the sounds that they imitate, as VimSketch lays them out.

`references/` has the sounds and `vocal_imitations/` what people sang of them. A file is called by a prefix
and, behind the first "_", by the name of the sound: an imitation means the sound of the same name. So that
name is the label of both, and the folder is the split: with `queries: vocal_imitations` in a grid, the
imitations ask.

References
----------
Kim, Cartwright, Pishdadian and Pardo (2019), VimSketch Dataset, Zenodo, doi:10.5281/zenodo.2596911.
"""

from pathlib import Path

import pandas as pd

from sss_lib.dataset import ground_truth
from sss_lib.dataset.ground_truth import DatasetError, GroundTruth, complaint
from sss_lib.io.names import AUDIO_SUFFIXES, listed

SOUNDS, IMITATIONS = "references", "vocal_imitations"


def is_one(folder: Path) -> bool:
    """Whether a folder is laid out like this, and has no table of its own."""
    is_there = all((folder / name).is_dir() for name in (SOUNDS, IMITATIONS))
    return is_there and not (folder / "ground_truth.csv").is_file()


def read(folder: Path) -> GroundTruth:
    """Ground truth of the folder; the fname of references/01_cat.wav is references-01_cat.

    Files without a "_" in their name, imitations of no sound that is there, and folders with audio besides
    these two are problems. DatasetError if they leave no clip.
    """
    rows = [
        {"fname": f"{split}-{stem}", "path": str(path), "labels": [stem.partition("_")[2]], "split": split}
        for split in (SOUNDS, IMITATIONS)
        for stem, path in ground_truth.audio_files(folder / split).items()
    ]
    clips = pd.DataFrame(rows, columns=["fname", "path", "labels", "split"])
    names = clips["labels"].str[0]
    known = set(names[clips["split"] == SOUNDS]) - {""}
    of_none = (names != "") & ~names.isin(known)
    audio = (path for path in listed(folder, "**/*") if path.suffix.lower() in AUDIO_SUFFIXES)
    elsewhere = {path.parent.relative_to(folder).as_posix() for path in audio} - {SOUNDS, IMITATIONS}
    problems = [
        *complaint(clips["fname"][names == ""], f"files in {folder} have no name of a sound behind a _"),
        *complaint(clips["fname"][of_none], f"imitations in {folder} are of no sound in {SOUNDS}/"),
        *complaint(
            sorted(elsewhere), f"folders in {folder} have audio that belongs into {SOUNDS}/ or {IMITATIONS}/"
        ),
    ]
    if not names.isin(known).any():
        raise DatasetError(
            f"{folder} has no clip, such as {SOUNDS}/01_cat.wav and {IMITATIONS}/001_cat.wav: "
            f"{'; '.join(problems) or 'both folders are empty'}"
        )
    return GroundTruth(clips[names.isin(known)].reset_index(drop=True), problems)
