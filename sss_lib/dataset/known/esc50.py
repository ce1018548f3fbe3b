"""ESC-50: 2,000 environmental recordings of five seconds in 50 classes; ESC-10, a fifth of it, is freer."""

import functools
import re
from pathlib import Path

from sss_lib.dataset import ground_truth
from sss_lib.dataset.ground_truth import GroundTruth
from sss_lib.dataset.known import mapped
from sss_lib.dataset.known.collection import ONTOLOGY_DIR, Archive, Collection, Expected, Part

CLASSES = ONTOLOGY_DIR / "esc50_classes.csv"
ZIP = "https://github.com/karolpiczak/ESC-50/archive/refs/heads/master.zip"
TOP = "ESC-50-master"
ESC10_CATEGORIES = (
    *("dog", "rooster", "rain", "sea_waves", "crackling_fire"),
    *("crying_baby", "sneezing", "clock_tick", "helicopter", "chainsaw"),
)
# "- [1-100032-A.ogg]: clip derived from TITLE (http://...) by UPLOADER [CC0]": a title may hold brackets too.
CREDIT = re.compile(
    r"^- \[(?P<clip>[\w-]+)\.\w+\]:\s+clip derived from (?P<title>.*) "
    r"\((?P<source>https?://\S+)\) by (?P<uploader>.*) \[(?P<licence>[^\]]+)\]\s*$",
    re.MULTILINE,
)
"""A line of the collection's LICENSE on one clip."""


def read(root: Path, *, only_esc10: bool = False) -> GroundTruth:
    """Ground truth of the collection in a folder.

    split is the fold, src_file the Freesound recording that a clip is cut from: several clips may share one.
    uploader, licence, source and title are those of the file LICENSE. A clip that it lacks has the set's
    licence only.
    """
    top = root / TOP
    audio_dir, table = top / "audio", top / "meta" / "esc50.csv"
    clips = ground_truth.read_csv(
        table, needs=("filename", "category", "fold", "target", "esc10", "src_file", "take")
    )
    clips = clips.assign(fname=[Path(name).stem for name in clips["filename"]])
    files = ground_truth.audio_files(audio_dir)
    if only_esc10:
        others = set(clips.loc[clips["esc10"] != "True", "fname"])
        files = {fname: path for fname, path in files.items() if fname not in others}
        clips = clips[clips["esc10"] == "True"].reset_index(drop=True)
    licences = top / "LICENSE"
    text = licences.read_text(encoding="utf-8", errors="replace") if licences.is_file() else ""
    credit = {match["clip"]: match.groupdict() for match in CREDIT.finditer(text)}
    names = clips["fold"] + "-" + clips["src_file"] + "-" + clips["take"]
    of_set = [{"licence": "CC-BY-3.0" if one == "True" else "CC-BY-NC-3.0"} for one in clips["esc10"]]
    known = [{**own, **credit.get(name, {})} for own, name in zip(of_set, names, strict=True)]
    clips = clips.assign(
        labels=mapped.labels(clips["category"], CLASSES),
        split="fold" + clips["fold"],
        **{key: [one.get(key, "") for one in known] for key in ("uploader", "licence", "source", "title")},
    )
    return ground_truth.of_table(
        clips.drop(columns=["filename", "fold", "target"]), files, where=str(table), audio_dir=str(audio_dir)
    )


def _expected(only_esc10: bool = False) -> Expected:
    categories = ESC10_CATEGORIES if only_esc10 else ground_truth.read_csv(CLASSES)["category"]
    sizes = mapped.class_sizes(dict.fromkeys(categories, 40), CLASSES)
    return Expected(40 * len(categories), len(sizes), sum(sizes.values()), sizes)


def _collection(name: str, title: str, licence: str, only_esc10: bool = False) -> Collection:
    return Collection(
        name=name,
        title=title,
        licence=licence,
        source="https://github.com/karolpiczak/ESC-50",
        folder="esc50",
        read=functools.partial(read, only_esc10=only_esc10),
        taxonomy=functools.partial(mapped.taxonomy, CLASSES),
        # The server packs this anew from the current state, so that no digest can be held to.
        archives=(Archive(TOP, (Part(ZIP, at_least=600_000_000),), 900_000_000),),
        expected=functools.partial(_expected, only_esc10),
    )


ESC50 = _collection("esc50", "ESC-50", "CC BY-NC 3.0; the clips of ESC-10 CC BY 3.0")
ESC10 = _collection("esc10", "ESC-10", "CC BY 3.0; each clip CC0, CC BY or CC Sampling+", only_esc10=True)
