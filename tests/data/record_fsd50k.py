"""Make the small replica of FSD50K in fsd50k/ beside this: the published file names and forms, with noises.

The two audio archives are split by the real `zip` (Info-ZIP 3.0), as the published ones are, into as many
parts as those. The tables have the published headers, the metadata the published keys. Mids are invented.
"""

import csv
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

HERE = Path(__file__).parent
CLASSES = HERE.parent.parent / "data" / "ontology" / "fsd50k_classes.csv"
BARK = "Bark,Dog,Domestic_animals_and_pets,Animal"
RAIN = "Rain,Water"
GUITAR = "Electric_guitar,Guitar,Plucked_string_instrument,Musical_instrument,Music"
EVAL = [(37199, GUITAR), (175151, GUITAR), (99, BARK), (1277, BARK), (865, RAIN), (908, RAIN)]
DEV = [(64760 + i, (BARK, RAIN, GUITAR)[i % 3]) for i in range(13)]
LICENCES = ["licenses/by/3.0/", "publicdomain/zero/1.0/", "licenses/by-nc/3.0/", "licenses/sampling+/1.0/"]


def main() -> None:
    """Write the replica anew."""
    out = HERE / "fsd50k"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        tables, metadata = root / "FSD50K.ground_truth", root / "FSD50K.metadata"
        for path in (tables, metadata, root / "FSD50K.doc"):
            path.mkdir()
        (root / "FSD50K.doc" / "LICENSE-DATASET").write_text("a replica for tests\n")
        with CLASSES.open() as file:
            labels = [row["label"] for row in csv.DictReader(file)]
        mids = {label: f"/t/test{i:03d}" for i, label in enumerate(labels)}
        vocabulary = [f"{i},{label},{mids[label]}" for i, label in enumerate(labels)]
        (tables / "vocabulary.csv").write_text("\n".join(vocabulary) + "\n")
        for subset, clips, split_at in (("eval", EVAL, "96k"), ("dev", DEV, "64k")):
            audio = root / f"FSD50K.{subset}_audio"
            audio.mkdir()
            with (tables / f"{subset}.csv").open("w", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["fname", "labels", "mids", *(["split"] if subset == "dev" else [])])
                for i, (fname, own) in enumerate(clips):
                    row = [fname, own, ",".join(mids[label] for label in own.split(","))]
                    writer.writerow([*row, *([("train", "val")[i % 2]] if subset == "dev" else [])])
            about = {}
            for i, (fname, own) in enumerate(clips):
                wave = 0.3 * rng.standard_normal(13230)
                if own == RAIN:
                    wave = np.convolve(wave, np.ones(8) / 8, "same")
                soundfile.write(audio / f"{fname}.wav", wave, 44100, subtype="PCM_16")
                about[str(fname)] = {
                    "title": f"{own.partition(',')[0]} {i}.wav",
                    "description": "a noise, for tests",
                    "tags": ["noise", own.partition(",")[0].lower()],
                    "license": "http://creativecommons.org/" + LICENCES[i % 4],
                    "uploader": ("ann", "ben", "çem")[i % 3],
                }
            info = metadata / f"{subset}_clips_info_FSD50K.json"
            info.write_text(json.dumps(about, indent=1), encoding="utf-8")
            split = ["zip", "-q", "-r", "-s", split_at, out / f"{audio.name}.zip", audio.name]
            subprocess.run(split, cwd=root, check=True)
        for name in ("FSD50K.ground_truth", "FSD50K.metadata", "FSD50K.doc"):
            subprocess.run(["zip", "-q", "-r", out / f"{name}.zip", name], cwd=root, check=True)


if __name__ == "__main__":
    main()
