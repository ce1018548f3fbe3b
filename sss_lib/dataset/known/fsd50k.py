"""FSD50K: 51,197 Freesound clips in 200 classes, as an evaluation and a development set.

soundata 1.0.1 has a loader, but its download of split archives fails on Linux and macOS (its issues 183 and
184; a fix, 200, is merged and not released), and its index is one more download. So the archives are joined
and the tables read here.
"""

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from sss_lib.dataset import ground_truth
from sss_lib.dataset import taxonomy as taxonomies
from sss_lib.dataset.dataset import Dataset, assemble
from sss_lib.dataset.ground_truth import DatasetError, GroundTruth, complaint
from sss_lib.dataset.known.collection import ONTOLOGY_DIR, Archive, Collection, Expected, Part
from sss_lib.dataset.taxonomy import Taxonomy

CLASSES = ONTOLOGY_DIR / "fsd50k_classes.csv"
FILES = "https://zenodo.org/records/4060432/files"
EVAL_HOURS, DEV_HOURS = 27.9, 80.4
_Z = 3_221_225_472  # every part of a split zip but the last


def _part(file: str, md5: str, n_bytes: int | None = None, at_least: int = 0) -> Part:
    return Part(f"{FILES}/{file}?download=1", md5, n_bytes, at_least)


def _pcm_bytes(hours: float) -> int:
    """Of 16 bits, mono, at 44.1 kHz."""
    return round(hours * 3600 * 44_100 * 2)


EVAL_AUDIO = Archive(
    "FSD50K.eval_audio",
    (
        _part("FSD50K.eval_audio.z01", "3090670eaeecc013ca1ff84fe4442aeb", _Z),
        _part("FSD50K.eval_audio.zip", "6fa47636c3a3ad5c7dfeba99f2637982", 3_037_675_767),
    ),
    _pcm_bytes(EVAL_HOURS),
)
DEV_AUDIO = Archive(
    "FSD50K.dev_audio",
    (
        _part("FSD50K.dev_audio.z01", "faa7cf4cc076fc34a44a479a5ed862a3", at_least=_Z),
        _part("FSD50K.dev_audio.z02", "8f9b66153e68571164fb1315d00bc7bc", at_least=_Z),
        _part("FSD50K.dev_audio.z03", "1196ef47d267a993d30fa98af54b7159", at_least=_Z),
        _part("FSD50K.dev_audio.z04", "d088ac4e11ba53daf9f7574c11cccac9", at_least=_Z),
        _part("FSD50K.dev_audio.z05", "81356521aa159accd3c35de22da28c7f", at_least=_Z),
        _part("FSD50K.dev_audio.zip", "c480d119b8f7a7e32fdb58f3ea4d6c5a"),
    ),
    _pcm_bytes(DEV_HOURS),
)
TABLES = (
    Archive(
        "FSD50K.ground_truth",
        (_part("FSD50K.ground_truth.zip", "ca27382c195e37d2269c4c866dd73485"),),
        is_ground_truth=True,
    ),
    Archive("FSD50K.metadata", (_part("FSD50K.metadata.zip", "b9ea0c829a411c1d42adb9da539ed237"),)),
    Archive("FSD50K.doc", (_part("FSD50K.doc.zip", "3516162b82dc2945d3e7feba0904e800"),), is_read=False),
)


def taxonomy() -> Taxonomy:
    """The 200 classes."""
    return taxonomies.read(CLASSES)


def read(root: Path, subset: str) -> GroundTruth:
    """Ground truth of the "eval" or the "dev" set in a folder, with what the uploaders say of each clip.

    split is "eval", or "train" and "val" within dev. Added are mids, title, tags (comma-joined) and licence,
    by its short name.
    """
    audio_dir = root / f"FSD50K.{subset}_audio"
    tables, metadata = root / "FSD50K.ground_truth", root / "FSD50K.metadata"
    found = ground_truth.of_csv(tables / f"{subset}.csv", ground_truth.audio_files(audio_dir), audio_dir)
    about = _clips_info(metadata / f"{subset}_clips_info_FSD50K.json")
    unknown = complaint((f for f in found.clips["fname"] if f not in about), "clips have no metadata")
    rows = [about.get(fname, {}) for fname in found.clips["fname"]]
    columns = {
        "uploader": [row.get("uploader") or "" for row in rows],
        "licence": [licence_name(row.get("license") or "") for row in rows],
        "title": [row.get("title") or "" for row in rows],
        "tags": [",".join(row.get("tags") or []) for row in rows],
    }
    if "split" not in found.clips:
        columns["split"] = [subset] * len(found.clips)
    vocabulary = ground_truth.read_csv(tables / "vocabulary.csv", header=("index", "label", "mid"))
    other = complaint(
        sorted(set(vocabulary["label"]) ^ set(taxonomy().parents)),
        f"labels are either in {tables / 'vocabulary.csv'} or in {CLASSES}, not in both",
    )
    return GroundTruth(found.clips.assign(**columns), [*found.problems, *found.left_out, *unknown, *other])


def labelled(ground_truth_csv: Path) -> Dataset:
    """Dataset of a csv of FSD50K's ground truth without the audio: it has labels, and no paths."""
    clips = ground_truth.read_csv(ground_truth_csv, needs=("fname", "labels"))
    clips = clips.assign(labels=clips["labels"].str.split(","))
    classes = taxonomy()
    return assemble(ground_truth_csv.stem, clips, classes.families, "", classes.parents)


def _clips_info(path: Path) -> dict[str, dict]:
    again = "unpack FSD50K.metadata.zip again"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist: fetch FSD50K.metadata.zip and unpack it there") from None
    except ValueError as error:
        raise DatasetError(f"{path} is not JSON ({error}): {again}") from None
    if not (isinstance(found, dict) and all(isinstance(row, dict) for row in found.values())):
        raise DatasetError(f"{path} doesn't say of each clip what is known of it: {again}")
    return found


def licence_name(url: str) -> str:
    """Short name of a licence of Creative Commons; any other text as it is.

    Examples
    --------
    >>> licence_name("http://creativecommons.org/licenses/by-nc/3.0/")
    'CC-BY-NC-3.0'
    >>> licence_name("http://creativecommons.org/publicdomain/zero/1.0/")
    'CC0-1.0'
    """
    found = re.search(r"creativecommons\.org/(licenses|publicdomain)/([\w+-]+)/([\d.]+)", url)
    if not found:
        return url
    return f"CC0-{found[3]}" if found[2] == "zero" else f"CC-{found[2].upper()}-{found[3]}"


def _expected_of_eval() -> Expected:
    sizes = pd.read_csv(CLASSES).set_index("label")["n_eval_clips"].to_dict()
    return Expected(10_231, 200, 38_596, sizes, EVAL_HOURS, 44_100, 1)


def _expected_of_dev() -> Expected:
    return Expected(40_966, 200, 114_271, {}, DEV_HOURS, 44_100, 1)


def _collection(
    subset: str, name: str, title: str, audio: Archive, expected: Callable[[], Expected]
) -> Collection:
    return Collection(
        name=name,
        title=title,
        licence="CC BY 4.0; each clip CC0, CC BY, CC BY-NC or CC Sampling+",
        source="https://zenodo.org/records/4060432",
        folder="fsd50k",
        read=functools.partial(read, subset=subset),
        taxonomy=taxonomy,
        archives=(audio, *TABLES),
        expected=expected,
    )


FSD50K_EVAL = _collection("eval", "fsd50k", "FSD50K eval", EVAL_AUDIO, _expected_of_eval)
FSD50K_DEV = _collection("dev", "fsd50k-dev", "FSD50K dev", DEV_AUDIO, _expected_of_dev)
