"""The clips of ESC-10 as their author published them in 2015, laid out as ESC-50's archive holds them.

    python tests/lay_esc10.py FOLDER DATA_DIR

FOLDER has audio/*.ogg and ground_truth.csv with fname,labels,uploader,licence,source,title,fold.
Nothing is copied: DATA_DIR/esc50 gets links. `python tests/benchmarks/esc10.py measure DATA_DIR EMBEDDINGS`
measures then.
"""

import sys
from pathlib import Path

import pandas as pd

from sss_lib.dataset.known import esc50

OWN_COPY = Path(__file__).parents[2] / "shared" / "sounds" / "esc10"
"""Beside the checkout of those who have one."""
CATEGORIES = {
    "Dog_bark": "dog",
    "Rooster": "rooster",
    "Rain": "rain",
    "Sea_waves": "sea_waves",
    "Fire_crackling": "crackling_fire",
    "Baby_cry": "crying_baby",
    "Person_sneeze": "sneezing",
    "Clock_tick": "clock_tick",
    "Helicopter": "helicopter",
    "Chainsaw": "chainsaw",
}
"""ESC-10's words to those of ESC-50."""


def lay(folder: Path, data_dir: Path) -> None:
    """Link the clips of a folder where the collection esc10 is looked for, with the tables it comes with."""
    top = data_dir / "esc50" / esc50.TOP
    for inner in ("audio", "meta"):
        (top / inner).mkdir(parents=True)
    clips = pd.read_csv(folder / "ground_truth.csv", dtype=str)
    clips = clips.assign(category=clips["labels"].map(CATEGORIES), esc10="True", target="0")
    clips["filename"] = clips["fname"] + "-0.ogg"
    clips[["src_file", "take"]] = clips["fname"].str.split("-", expand=True)[[1, 2]]
    clips[["filename", "fold", "target", "category", "esc10", "src_file", "take"]].to_csv(
        top / "meta" / "esc50.csv", index=False
    )
    for clip in clips.itertuples():
        (top / "audio" / clip.filename).symlink_to((folder / "audio" / f"{clip.fname}.ogg").resolve())
    lines = [
        f"- [{one.fname}.ogg]: clip derived from {one.title} ({one.source}) by {one.uploader} [{one.licence}]"
        for one in clips.itertuples()
    ]
    (top / "LICENSE").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    lay(*map(Path, sys.argv[1:]))
