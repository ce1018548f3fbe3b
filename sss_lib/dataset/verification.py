"""Is a copy of a collection whole, and what is in it? `python -m sss_lib verify DATASET` says it.

Every clip is decoded from its first sample to its last; the archives it came from, its labels and its class
sizes are compared with what was published. What would falsify a result is WRONG and ends with exit code 1;
what is worth knowing is a note.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from sss_lib.dataset.examination import CLIPPED_RUN, verify
from sss_lib.dataset.ground_truth import DatasetError
from sss_lib.dataset.known.collection import PARTS_DIR, Collection, Expected, receipts
from sss_lib.io import archives, audio, download
from sss_lib.io.split_zip import ArchiveError

if TYPE_CHECKING:
    from sss_lib.dataset.dataset import Dataset

SILENCE = 1e-4
"""A clip counts as silent if no sample is louder: -80 dB of full scale."""
OK, NOTE, WRONG = "ok", "note", "WRONG"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes
    ----------
    level : str
        "ok", "note" or "WRONG".
    what, says : str
    """

    level: str
    what: str
    says: str

    def __str__(self) -> str:
        return f"  {self.level:6}{self.what:12}{self.says}".replace("\n", "\n" + 20 * " ")


@dataclass(frozen=True)
class Report:
    """All findings on a copy of a collection; printed, a page to read."""

    title: str
    findings: tuple[Finding, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is WRONG."""
        return all(finding.level != WRONG for finding in self.findings)

    def __str__(self) -> str:
        n_wrong = sum(finding.level == WRONG for finding in self.findings)
        result = f"{n_wrong} of {len(self.findings)} checks found something WRONG" if n_wrong else "whole"
        return "\n".join([self.title, *map(str, self.findings), f"Result: {result}"])


def report_on(
    dataset: "Dataset",
    clips: pd.DataFrame,
    *,
    problems: Iterable[str] = (),
    known: Collection | None = None,
    root: Path | None = None,
) -> Report:
    """Report on a dataset whose clips have been decoded.

    Parameters
    ----------
    dataset : Dataset
    clips : pd.DataFrame
        From `verify`.
    problems : iterable of str
        What doesn't fit together (see `dataset.inspect`).
    known : Collection, optional
        What it should be; None for a subset or a folder of one's own.
    root : Path, optional
        The folder of that collection.
    """
    findings = [
        *(_parts(known, root) + _unpacked(known, root) if known and root else []),
        *(Finding(WRONG, "tables", sentence) for sentence in problems),
        *(_sizes(dataset, known.expected()) if known and known.expected else []),
        *_classes(dataset),
        *_audio(clips),
        *(_published_audio(clips, known.expected()) if known and known.expected else []),
    ]
    title = f"{dataset.name}: {len(dataset):,} clips"
    if known:
        title += f" of {known.title} ({known.source}; {known.licence})"
    return Report(title, tuple(findings))


def _parts(known: Collection, root: Path) -> list[Finding]:
    """Compare the archives that are still here with what was published, byte by byte."""
    n_right, n_unknown, absent, findings = 0, 0, [], []
    try:
        noted = receipts(root / PARTS_DIR)
    except ValueError as error:
        noted = {}
        findings.append(Finding(WRONG, "parts", str(error)))
    for remote in known.remotes(root):
        file = remote.path.name
        if not remote.path.is_file():
            absent.append(f"{file} ({'was right when unpacked' if file in noted else 'never seen'})")
        elif remote.digest is None:
            n_unknown += 1
        elif wrong := remote.difference(remote.path.stat().st_size, download.digest_of(remote.path, "md5")):
            mend = "what was unpacked was checked then; delete it, or that folder too, and `make data` again"
            findings.append(Finding(WRONG, "parts", f"{remote.path} {wrong}: {mend}"))
        else:
            n_right += 1
    if n_right:
        findings.append(
            Finding(OK, "parts", f"{n_right} of {len(known.remotes(root))} have the published md5")
        )
    if n_unknown:
        findings.append(Finding(NOTE, "parts", f"{n_unknown} without a published md5"))
    if absent:
        findings.append(Finding(NOTE, "parts", f"no longer here: {', '.join(absent)}"))
    return findings


def _unpacked(known: Collection, root: Path) -> list[Finding]:
    """Compare what was unpacked with the zips that are still here, file by file."""
    findings = []
    for archive in known.archives:
        parts = [root / PARTS_DIR / part.file for part in archive.parts]
        if not ((root / archive.folder).is_dir() and _is_zip(parts)):
            continue
        try:
            contents = archives.contents(parts)
        except ArchiveError as error:
            findings.append(Finding(WRONG, "unpacked", str(error)))
            continue
        own = {name: told for name, told in contents.items() if name.startswith(f"{archive.folder}/")}
        other = [name for name, told in own.items() if not _is_as_told(root / name, *told)]
        mend = f"delete {root / archive.folder}, and `make data` again: {_some(other)}"
        findings.append(
            Finding(WRONG, "unpacked", f"{len(other)} files are not those of {parts[-1].name}; {mend}")
            if other
            else Finding(OK, "unpacked", f"all {len(own):,} files of {parts[-1].name} as they are in it")
        )
    return findings


def _is_zip(parts: list[Path]) -> bool:
    return parts[-1].suffix == ".zip" and all(part.is_file() for part in parts)


def _is_as_told(path: Path, n_bytes: int, checksum: int) -> bool:
    try:
        return path.is_file() and path.stat().st_size == n_bytes and archives.checksum(path) == checksum
    except OSError:
        return False


def _sizes(dataset: "Dataset", expected: Expected) -> list[Finding]:
    """Compare the numbers of clips, classes and labels with those published."""
    sizes = dataset.class_sizes()
    findings = [
        Finding(OK if n == right else WRONG, what, f"{n:,}" + ("" if n == right else f", not {right:,}"))
        for what, n, right in (
            ("clips", len(dataset), expected.n_clips),
            ("classes", len(dataset.labels), expected.n_classes),
            ("labels", int(sizes.sum()), expected.n_labels),
        )
    ]
    if expected.class_sizes:
        names = sorted({*expected.class_sizes, *sizes.index})
        here = {name: int(sizes.get(name, 0)) for name in names}
        other = [name for name in names if here[name] != expected.class_sizes.get(name, 0)]
        says = [f"{name} has {here[name]} clips, not {expected.class_sizes.get(name, 0)}" for name in other]
        findings.append(
            Finding(WRONG, "class sizes", f"{len(other)} classes differ: {_some(says, '; ')}")
            if other
            else Finding(OK, "class sizes", f"all {len(names)} as published")
        )
    return findings


def _classes(dataset: "Dataset") -> list[Finding]:
    if not dataset.labels:
        return [Finding(NOTE, "labels", "none: the clips can be searched and heard, but not scored")]
    sizes = dataset.class_sizes()
    alone = sizes.index[sizes < 2].tolist()
    if not alone:
        return [Finding(OK, "queries", f"all {len(sizes)} classes have two clips or more")]
    return [Finding(NOTE, "queries", f"{len(alone)} of {len(sizes)} classes have one clip: {_some(alone)}")]


def _audio(clips: pd.DataFrame) -> list[Finding]:
    """What decoding the clips showed."""
    broken = clips[clips["problem"] != ""]
    sound = clips[clips["problem"] == ""]
    findings = [Finding(OK, "decoding", f"all {len(clips):,} clips, from the first sample to the last")]
    if len(broken):
        says = f"{len(broken):,} of {len(clips):,} clips have no usable audio:\n"
        findings = [Finding(WRONG, "decoding", says + _some(broken["problem"], "\n"))]
    if sound.empty:
        return findings
    lengths = sound["duration_s"]
    findings.append(
        Finding(
            OK,
            "durations",
            f"{lengths.sum() / 3600:.2f} h in all; a clip has {lengths.min():.2f} to {lengths.max():.2f} s, "
            f"half of them {lengths.median():.1f} s or less",
        )
    )
    rates = ", ".join(f"{rate:,} Hz ({n:,})" for rate, n in sound["rate_hz"].value_counts().items())
    channels = ", ".join(f"{n} ({many:,})" for n, many in sound["n_channels"].value_counts().items())
    findings.append(Finding(OK, "formats", f"sample rates: {rates}; channels: {channels}"))
    long = sound.loc[lengths > audio.MAX_DURATION_S, "fname"]
    silent = sound.loc[sound["peak"] < SILENCE, "fname"]
    clipped = sound.loc[sound["clipped"], "fname"]
    for what, fnames, says in (
        ("long", long, f"are longer than {audio.MAX_DURATION_S:g} s: models hear only so much"),
        ("silent", silent, "hold nothing louder than -80 dB of full scale"),
        ("clipped", clipped, f"stay at full scale for {CLIPPED_RUN} samples or more"),
    ):
        level, says = (NOTE, f"{len(fnames)} clips {says}: {_some(fnames)}") if len(fnames) else (OK, "none")
        findings.append(Finding(level, what, says))
    same = sound.groupby("wave_sha256", sort=False)["fname"].agg(list)
    copies = [fnames for fnames in same if len(fnames) > 1]
    says = f"{len(copies)} sounds stand more than once: {_some((' = '.join(c) for c in copies), '; ')}"
    findings.append(Finding(NOTE, "duplicates", says) if copies else Finding(OK, "duplicates", "none"))
    return findings


def _published_audio(clips: pd.DataFrame, expected: Expected) -> list[Finding]:
    """Compare lengths and formats with those published."""
    sound, findings = clips[clips["problem"] == ""], []
    if expected.hours is not None:
        hours = sound["duration_s"].sum() / 3600
        is_right = abs(hours - expected.hours) <= 0.1  # it is rounded
        says = f"{hours:.1f}" + ("" if is_right else f", not {expected.hours}")
        findings.append(Finding(OK if is_right else WRONG, "hours", says))
    for column, right, what in (
        ("rate_hz", expected.rate_hz, "Hz"),
        ("n_channels", expected.n_channels, "channels"),
    ):
        odd = sound.loc[sound[column] != right, "fname"] if right is not None else ()
        if len(odd):
            findings.append(
                Finding(WRONG, "formats", f"{len(odd)} clips have not {right:,} {what}: {_some(odd)}")
            )
    return findings


def _some(items: Iterable[str], separator: str = ", ", n: int = 5) -> str:
    items = list(items)
    more = [f"and {len(items) - n} more"] if len(items) > n else []
    return separator.join([*items[:n], *more])


def report(name_or_folder: str, data_dir: Path | None = None) -> Report:
    """Decode every clip of a known collection or a folder, and report on it.

    Raises
    ------
    OSError
        If there is nothing to report on.
    """
    from sss_lib.dataset import dataset as datasets

    known, root = datasets.known_as(name_or_folder, data_dir)
    try:
        dataset, problems = datasets.inspect(name_or_folder, data_dir)
    except DatasetError as error:
        if not root.is_dir():
            raise FileNotFoundError(str(error)) from None
        parts = _parts(known, root) if known else []
        return Report(name_or_folder, (*parts, Finding(WRONG, "tables", str(error))))
    return report_on(dataset, verify(dataset), problems=problems, known=known, root=root)
