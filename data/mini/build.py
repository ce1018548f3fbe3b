"""Rebuild the mini collection from two Debian packages.

Usage: python data/mini/build.py SONIC_PI_SAMPLES_DEB SCRATCH_DEB

Reads annotations.csv (made by hand) and the class table in data/ontology; writes audio/, ground_truth.csv,
left_out.csv and LICENSES.md beside this file, and prints the counts that README.md states.
Needs dpkg-deb, numpy, pandas, soundfile >= 0.13 (libsndfile >= 1.1 for the mp3 files), soxr and tqdm.
"""

import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import soundfile as sf
import soxr
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
CLASSES = HERE.parent / "ontology" / "fsd50k_classes.csv"
RATE = 44100
MAX_SECONDS = 30.0  # longer clips are cut here, with a fade, as FSD50K has none longer
COMPRESSION = 0.05  # of Vorbis: 0 is the best quality, 1 the smallest file
FADE_SECONDS = 0.05
PACKAGES = {  # name: (folder inside the package, SHA-256 of the .deb)
    "sonic-pi": (
        "usr/share/sonic-pi/samples/",
        "25f2312d2fae005e6ad0f4726b8ed3084e776006a5a132083506e960224ac79d",
    ),
    "scratch": (
        "usr/share/scratch/Media/Sounds/",
        "36c582eb93110f64f06c4e685c41e933ccba2fa68db12f79b10bfe840b21fc10",
    ),
}
DEBS = "sonic-pi-samples_3.2.2~repack-8_all.deb and scratch_1.4.0.6~dfsg1-6.1_all.deb"
CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
BY_SA = "https://creativecommons.org/licenses/by-sa/3.0/"


def read_package(deb: Path, folder: str, sha256: str) -> dict[str, bytes]:
    """Return {path below folder: content} of a .deb, read in memory: no member can land anywhere."""
    if not deb.is_file():
        raise SystemExit(f"{deb}: no such file. Needed are the Debian packages {DEBS}.")
    if shutil.which("dpkg-deb") is None:
        raise SystemExit("dpkg-deb is missing. It comes with Debian's and Ubuntu's package dpkg.")
    if hashlib.sha256(deb.read_bytes()).hexdigest() != sha256:
        raise SystemExit(f"{deb}: not the expected version. Needed are the Debian packages {DEBS}.")
    run = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(run.stdout)) as tar:
        members = [(m.name.removeprefix("./"), m) for m in tar if m.isfile()]
        wanted = [(name.removeprefix(folder), m) for name, m in members if name.startswith(folder)]
        return {name: tar.extractfile(m).read() for name, m in wanted}


def read_classes() -> dict[str, str]:
    """Return {class: parent}, with an empty parent for a root."""
    table = pd.read_csv(CLASSES, keep_default_na=False)
    return dict(zip(table["label"], table["parents"], strict=True))


def with_ancestors(classes: str, parents: dict[str, str]) -> list[str]:
    """Return each class followed by its ancestors up to the root, without repeats."""
    labels = []
    for label in classes.split(";"):
        while label:
            if label not in parents:
                raise SystemExit(f"annotations.csv: unknown class {label!r}")
            labels.append(label)
            label = parents[label]
    return list(dict.fromkeys(labels))


def read_freesound(readme: str) -> dict[str, tuple[str, str, str]]:
    """Return {clip name without underscores: (Freesound id, uploader, address)} from the package's README."""
    found = re.findall(r"`:(\w+)`\s*-\s*https?://\S*?/people/([^/]+)/sounds/(\d+)", readme)
    address = "https://freesound.org/people/{}/sounds/{}/"
    return {
        name.replace("_", ""): (number, unquote(user), address.format(user, number))
        for name, user, number in found
    }


def describe(source_path: str, fname: str, freesound: dict[str, tuple[str, str, str]]) -> dict[str, str]:
    """Return a clip's uploader, licence, source and title."""
    package, name = source_path.split("/", 1)
    title = Path(name).stem
    if package == "scratch":
        source = f"Debian scratch 1.4.0.6, Media/Sounds/{name}"
        return {"uploader": "MIT Scratch", "licence": "CC-BY-SA-3.0", "source": source, "title": title}
    number, uploader, source = freesound[title.replace("_", "")]
    if fname not in (number, f"{number}-{title}"):
        raise SystemExit(f"annotations.csv: {source_path} has fname {fname}, but Freesound id {number}")
    return {"uploader": uploader, "licence": "CC0-1.0", "source": source, "title": title}


def convert(content: bytes) -> tuple[np.ndarray, str, str]:
    """Return the clip as mono at RATE, the changes made to it, and the artist its file names."""
    with sf.SoundFile(io.BytesIO(content)) as file:
        artist = file.copy_metadata().get("artist", "").strip()
        kind, rate, channels = file.format, file.samplerate, file.channels
        audio = file.read(dtype="float64", always_2d=True).mean(axis=1)
    changes = [f"mean of {channels} channels"] if channels > 1 else []
    if rate != RATE:
        audio = soxr.resample(audio, rate, RATE, quality="VHQ")
        changes.append(f"resampled from {rate} Hz")
    if len(audio) > MAX_SECONDS * RATE:
        audio = audio[: int(MAX_SECONDS * RATE)]
        fade = int(FADE_SECONDS * RATE)
        audio[-fade:] *= np.linspace(1.0, 0.0, fade)
        changes.append(f"cut to {MAX_SECONDS:g} s")
    if not np.isfinite(audio).all() or not audio.any():
        raise ValueError("empty, silent or not finite")
    peak = np.abs(audio).max()
    if peak > 1.0:
        audio = audio / peak
        changes.append("scaled down to full scale")
    changes.append(f"{'MP3' if kind.startswith('MP') else kind} to Ogg Vorbis")
    return audio, ", ".join(changes), artist


def encode(audio: np.ndarray) -> bytes:
    """Return the clip as an Ogg Vorbis file whose stream has serial number 0.

    The encoder draws that number at random. It stands in every page, so every page's checksum is made anew.
    """
    buffer = io.BytesIO()
    sf.write(buffer, audio, RATE, format="OGG", subtype="VORBIS", compression_level=COMPRESSION)
    content = bytearray(buffer.getvalue())
    start = 0
    while start < len(content):
        n_segments = content[start + 26]
        end = start + 27 + n_segments + sum(content[start + 27 : start + 27 + n_segments])
        content[start + 14 : start + 18] = bytes(4)  # serial number
        content[start + 22 : start + 26] = bytes(4)  # checksum, zero while it is computed
        content[start + 22 : start + 26] = ogg_checksum(content[start:end]).to_bytes(4, "little")
        start = end
    return bytes(content)


def ogg_checksum(page: bytes) -> int:
    """Return the CRC-32 of an Ogg page: polynomial 0x04c11db7, not reflected, from zero."""
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ CRC_TABLE[crc >> 24 ^ byte]
    return crc


def crc_row(value: int) -> int:
    """Return the checksum of one byte."""
    value <<= 24
    for _ in range(8):
        value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


CRC_TABLE = [crc_row(value) for value in range(256)]


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file by way of a temporary one; returns nothing."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(content)
    temporary.replace(path)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV with Unix line ends; returns nothing."""
    write_bytes(path, table.to_csv(index=False, lineterminator="\n").encode())


def licences_text(clips: pd.DataFrame) -> str:
    """Return LICENSES.md: one row per clip."""
    rows = [
        f"| {c.fname} | {c.title} | {c.author} | {c.licence} | {c.source} | {c.changes or 'none'} |"
        for c in clips.itertuples()
    ]
    return "\n".join(
        [
            "# Licences of the clips",
            "",
            f"- **CC0-1.0** ([deed]({CC0})): clips from Freesound,",
            "  as Debian's package sonic-pi-samples 3.2.2~repack-8 ships them. Sonic Pi had already trimmed",
            "  or slightly changed many of them.",
            f"- **CC-BY-SA-3.0** ([deed]({BY_SA}),",
            f"  [text]({BY_SA}legalcode)): clips from Scratch 1.4,",
            "  Copyright (c) 2011 Massachusetts Institute of Technology, from Debian's package",
            "  scratch 1.4.0.6~dfsg1-6.1, whose copyright file places all of Media/ under this licence.",
            "  The clips here are adaptations and stay under CC BY-SA 3.0, and so must",
            "  adaptations made from them. MIT does not endorse this collection. Where a file's tag names an",
            "  artist, that name is given too, as it stands in the file.",
            "",
            f"Every clip was written as mono Ogg Vorbis at {RATE} Hz. The last column says what changed.",
            "",
            "| fname | title | author | licence | source | changes |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def print_counts(clips: pd.DataFrame, left_out: pd.DataFrame, seconds: float, size: int) -> None:
    """Print the counts that README.md states; returns nothing."""
    table = pd.read_csv(CLASSES, keep_default_na=False).set_index("label")
    per_class = clips["labels"].str.split(",").explode().value_counts()
    single = sorted(per_class.index[per_class == 1])
    families = table.loc[per_class.index, "family"].replace("", np.nan).dropna()
    print(f"clips: {len(clips)} ({clips['licence'].value_counts().to_dict()}), left out: {len(left_out)}")
    print(f"uploaders: {clips['uploader'].nunique()}")
    print(f"classes present: {len(per_class)} of {len(table)}, absent: {len(table) - len(per_class)}")
    print(f"queryable (two clips or more): {len(per_class) - len(single)}")
    print(f"skipped (a single clip): {len(single)}: {', '.join(single)}")
    print(f"families: {families.nunique()}: {families.value_counts().sort_index().to_dict()}")
    print(f"minutes: {seconds / 60:.1f}, megabytes: {size / 1e6:.1f}")


def main(sonic_pi_deb: str, scratch_deb: str) -> None:
    """Build the collection; returns nothing."""
    content = {}
    for (package, (folder, sha256)), deb in zip(PACKAGES.items(), (sonic_pi_deb, scratch_deb), strict=True):
        content |= {f"{package}/{n}": c for n, c in read_package(Path(deb), folder, sha256).items()}
    freesound = read_freesound(content.pop("sonic-pi/README.md").decode())
    annotations = pd.read_csv(HERE / "annotations.csv", dtype=str, keep_default_na=False).sort_values("fname")
    if set(annotations["source_path"]) != set(content) or annotations["fname"].duplicated().any():
        raise SystemExit("annotations.csv must name each file of both packages once, each with its own fname")
    parents = read_classes()

    audio_folder = HERE / "audio"
    audio_folder.mkdir(exist_ok=True)
    clips, left_out, seconds, size = [], [], 0.0, 0
    rows = annotations[["source_path", "fname", "class", "reason"]].to_numpy().tolist()
    for source_path, fname, classes, reason in tqdm(rows, unit="clip"):
        about = describe(source_path, fname, freesound)
        if not classes:
            left_out.append(dict(source_file=source_path, **about, reason=reason))
            continue
        try:
            audio, changes, artist = convert(content[source_path])
        except (sf.LibsndfileError, ValueError) as error:
            raise SystemExit(f"{source_path}: {error}") from error
        ogg = encode(audio)
        write_bytes(audio_folder / f"{fname}.ogg", ogg)
        author = about["uploader"]
        if about["licence"] == "CC-BY-SA-3.0":
            tag = f" (artist in the file: {artist})" if artist else ""
            author = f"Massachusetts Institute of Technology{tag}"
        labels = ",".join(with_ancestors(classes, parents))
        clips.append(dict(fname=fname, labels=labels, **about, author=author, changes=changes))
        seconds, size = seconds + len(audio) / RATE, size + len(ogg)

    clips, left_out = pd.DataFrame(clips), pd.DataFrame(left_out).sort_values("source_file")
    for old in audio_folder.iterdir():
        if old.name.removesuffix(".ogg") not in set(clips["fname"]):
            old.unlink()  # a clip that the table no longer labels, or a rest of an interrupted run
    write_csv(HERE / "ground_truth.csv", clips[["fname", "labels", "uploader", "licence", "source", "title"]])
    write_csv(HERE / "left_out.csv", left_out[["source_file", "uploader", "licence", "source", "reason"]])
    write_bytes(HERE / "LICENSES.md", licences_text(clips).encode())
    print_counts(clips, left_out, seconds, size)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
