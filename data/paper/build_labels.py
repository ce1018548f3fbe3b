"""Make labels.csv and pairs.csv: what FSD50K's labels alone decide.

Run `make data DATASET=fsd50k LABELS=1` first, or name a csv in the form of its eval.csv.
"""

import sys
from pathlib import Path

from sss_lib.dataset.known import fsd50k
from sss_lib.figures import profiles

HERE = Path(__file__).parent
EVAL = HERE.parent / "fsd50k" / "FSD50K.ground_truth" / "eval.csv"


def main(ground_truth_csv: Path, out: Path = HERE) -> None:
    """Write both tables into a folder."""
    collection = fsd50k.labelled(ground_truth_csv)
    tables = {"labels": profiles.of_labels(collection), "pairs": profiles.pairs(collection)}
    for name, table in tables.items():
        table.to_csv(out / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else EVAL)
