"""Is a copy of a collection whole, and what is in its files? `python -m sss_lib verify DATASET` says it.

Every clip is decoded from its first sample to its last. The archives that it came from, its labels and its
class sizes are compared with what was published. What would falsify a result is WRONG and ends with exit
code 1; what is worth knowing is a note.
"""

import itertools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sss_lib.dataset import sources
from sss_lib.dataset.dataset import Dataset
from sss_lib.dataset.ground_truth import DatasetError
from sss_lib.dataset.known.collection import PARTS_DIR, Collection, Expected, receipts
from sss_lib.dataset.measuring import CLIPPED_RUN, HEARD_HZ, verify
from sss_lib.io import archives, audio, download
from sss_lib.io.split_zip import ArchiveError

SILENCE = 1e-4
"""A clip counts as silent if no sample is louder: -80 dB of full scale."""
BEYOND = 8.0
"""A clip is far beyond full scale from here: lossy formats may go somewhat over 1, but not so far."""
OFFSET = 0.05
"""A clip has an offset if the mean of its samples is so far from 0, in parts of full scale."""
OK, NOTE, WRONG = "ok", "note", "WRONG"


@dataclass(frozen=True)
class Finding:
    """What one check found: `level` is OK, NOTE or WRONG, `what` the subject, `says` a sentence."""

    level: str
    what: str
    says: str

    def __str__(self) -> str:
        return f"  {self.level:6}{self.what:12}{self.says}".replace("\n", "\n" + 20 * " ")


def _finding(what: str, bad: object, good: str, level: str = WRONG) -> Finding:
    """What is bad, with its level; or what is good, if nothing is."""
    return Finding(level, what, str(bad)) if bad else Finding(OK, what, good)


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
    dataset: Dataset,
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
    known, root : Collection and Path, optional
        What it should be, and its folder; None for a subset or a folder of one's own.
    """
    has_file = np.array([os.path.lexists(audio.span(path)[0]) for path in dataset.clips["path"]], bool)
    findings = [
        *(_parts(known, root) + _unpacked(known, root) if known and root else []),
        *(Finding(WRONG, "tables", sentence) for sentence in problems),
        *(_sizes(dataset, known.expected()) if known and known.expected else []),
        *(Finding(NOTE, "left out", sentence) for sentence in dataset.left_out),
        _classes(dataset),
        *_same_clips(dataset),
        *_audio(clips.loc[has_file], (~has_file).sum()),
        *(_published_audio(clips, known.expected()) if known and known.expected else []),
    ]
    collection = f" of {known.title} ({known.source}; {known.licence})" if known else ""
    return Report(f"{dataset.name}: {len(dataset):,} clips{collection}", tuple(findings))


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
            remedy = (
                "what was unpacked was checked then; delete it, or that folder too, and `make data` again"
            )
            findings.append(Finding(WRONG, "parts", f"{remote.path} {wrong}: {remedy}"))
        else:
            n_right += 1
    counts = (
        (n_right, OK, f"{n_right} of {len(known.remotes(root))} have the published md5"),
        (n_unknown, NOTE, f"{n_unknown} without a published md5"),
        (len(absent), NOTE, f"no longer here: {', '.join(absent)}"),
    )
    return findings + [Finding(level, "parts", says) for n, level, says in counts if n]


def _unpacked(known: Collection, root: Path) -> list[Finding]:
    """Compare what was unpacked with the zips that are still here, file by file."""
    findings = []
    for archive in known.archives:
        parts = [root / PARTS_DIR / part.file for part in archive.parts]
        is_zip = parts[-1].suffix == ".zip" and all(part.is_file() for part in parts)
        if not (is_zip and (root / archive.folder).is_dir()):
            continue
        try:
            contents = archives.contents(parts)
        except ArchiveError as error:
            findings.append(Finding(WRONG, "unpacked", str(error)))
            continue
        own = {name: about for name, about in contents.items() if name.startswith(f"{archive.folder}/")}
        other = [name for name, about in own.items() if not _matches(root / name, *about)]
        remedy = f"delete {root / archive.folder}, and `make data` again: {_some(other)}"
        wrong = other and f"{len(other)} files are not those of {parts[-1].name}; {remedy}"
        right = f"all {len(own):,} files of {parts[-1].name} as they are in it"
        findings.append(_finding("unpacked", wrong, right))
    return findings


def _matches(path: Path, n_bytes: int, checksum: int) -> bool:
    try:
        return path.is_file() and path.stat().st_size == n_bytes and archives.checksum(path) == checksum
    except OSError:
        return False


def _sizes(dataset: Dataset, expected: Expected) -> list[Finding]:
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
        pairs = {name: (sizes.get(name, 0), expected.class_sizes.get(name, 0)) for name in names}
        other = [f"{name} has {n} clips, not {right}" for name, (n, right) in pairs.items() if n != right]
        wrong = other and f"{len(other)} classes differ: {_some(other, '; ')}"
        findings.append(_finding("class sizes", wrong, f"all {len(names)} as published"))
    return findings


def _classes(dataset: Dataset) -> Finding:
    if not dataset.labels:
        return Finding(NOTE, "labels", "none: the clips can be searched and heard, but not scored")
    sizes = dataset.class_sizes()
    alone = sizes.index[sizes < 2].tolist()
    says = alone and f"{len(alone)} of {len(sizes)} classes have one clip: {_some(alone)}"
    return _finding("queries", says, f"all {len(sizes)} classes have two clips or more", NOTE)


def equal_classes(dataset: Dataset) -> list[list[str]]:
    """Sets of classes that hold exactly the same clips, those with most clips first.

    Examples
    --------
    >>> from sss_lib import dataset
    >>> equal_classes(dataset.load("mini"))[:2]
    [['Mallet_percussion', 'Marimba_and_xylophone'], ['Cat', 'Meow']]
    """
    columns = dataset.label_matrix.tocsc()
    found: dict[bytes, list[str]] = {}
    columns.sort_indices()
    for label, (start, end) in zip(dataset.labels, itertools.pairwise(columns.indptr), strict=True):
        found.setdefault(columns.indices[start:end].tobytes(), []).append(label)
    same = [(len(clips), labels) for clips, labels in found.items() if clips and len(labels) > 1]
    return [labels for _, labels in sorted(same, key=lambda one: -one[0])]


def _same_clips(dataset: Dataset) -> list[Finding]:
    """Classes that no score can tell apart, and that count as often as they are named in macro scores."""
    sizes = dataset.class_sizes()
    queried = [" = ".join(own) for own in equal_classes(dataset) if sizes[own[0]] > 1]
    if not queried:
        return []
    says = (
        f"{len(queried)} sets of classes hold the same clips, and macro scores count each class of them "
        f"(macro_distinct: each set once): {_some(queried, '; ', len(queried))}"
    )
    return [Finding(NOTE, "same clips", says)]


def _audio(clips: pd.DataFrame, n_without: int) -> list[Finding]:
    """What decoding the clips showed, and how many have no file, which their dataset allows."""
    without = [Finding(NOTE, "audio", f"{n_without:,} clips have no file")] if n_without else []
    if clips.empty and without:
        return without
    problems = clips.loc[clips["problem"] != "", "problem"].tolist()
    says = f"{len(problems):,} of {len(clips):,} clips have no usable audio:\n" + _some(problems, "\n")
    good = f"all {len(clips):,} clips, from the first sample to the last"
    findings = [*without, _finding("decoding", problems and says, good)]
    sound = clips[clips["problem"] == ""]
    if sound.empty:
        return findings
    return [*findings, *_shapes(sound), *_odd(sound), _copies(sound)]


def _shapes(sound: pd.DataFrame) -> list[Finding]:
    """How long the clips are, and their rates and channels."""
    lengths = sound["duration_s"]
    rates = ", ".join(f"{rate:,} Hz ({n:,})" for rate, n in sound["rate_hz"].value_counts().items())
    channels = ", ".join(f"{n} ({many:,})" for n, many in sound["n_channels"].value_counts().items())
    span = f"a clip has {lengths.min():.2f} to {lengths.max():.2f} s, half of them {lengths.median():.1f} s"
    return [
        Finding(OK, "durations", f"{lengths.sum() / 3600:.2f} h in all; {span} or less"),
        Finding(OK, "formats", f"sample rates: {rates}; channels: {channels}"),
    ]


def _odd(sound: pd.DataFrame) -> list[Finding]:
    """Clips that models hear a part of, or nothing, or something else than was recorded."""
    is_beyond = sound["peak"] > BEYOND
    seconds = f"{audio.MAX_DURATION_S:g} s"
    odd = {
        "long": (sound["duration_s"] > audio.MAX_DURATION_S, f"longer than {seconds}: models hear no more"),
        "silent": (
            sound["heard_peak"] < SILENCE,
            f"silent to models: in the mean of the channels, at {HEARD_HZ:,} Hz, in the first {seconds} "
            "nothing is louder than -80 dB of full scale",
        ),
        "clipped": (
            sound["clipped"] & ~is_beyond,
            f"clipped: {CLIPPED_RUN} samples or more in a row are at full scale",
        ),
        "offset": (
            sound["offset"].abs() >= OFFSET,
            f"off centre: the mean of the samples is {OFFSET:.0%} of full scale or more",
        ),
        "scale": (
            is_beyond,
            f"far beyond full scale, up to {sound['peak'].max():,.0f} times: divide integers that were "
            "written as floats by their largest",
        ),
    }
    findings = []
    for what, (chosen, says) in odd.items():
        fnames = sound.loc[chosen, "fname"].tolist()
        note = fnames and f"{len(fnames)} clips are {says}: {_some(fnames)}"
        findings.append(_finding(what, note, "none", WRONG if what == "scale" else NOTE))
    return findings


def _copies(sound: pd.DataFrame) -> Finding:
    """Clips whose audio is equal."""
    same = sound.groupby("wave_sha256", sort=False)["fname"].agg(list)
    copies = [" = ".join(fnames) for fnames in same if len(fnames) > 1]
    note = copies and f"{len(copies)} sounds stand more than once: {_some(copies, '; ')}"
    return _finding("duplicates", note, "none", NOTE)


def _published_audio(clips: pd.DataFrame, expected: Expected) -> list[Finding]:
    """Compare lengths and formats with those published."""
    sound, findings = clips[clips["problem"] == ""], []
    if expected.hours is not None:
        hours = sound["duration_s"].sum() / 3600
        is_right = abs(hours - expected.hours) <= 0.1  # the published number is rounded
        wrong = "" if is_right else f"{hours:.1f}, not {expected.hours}"
        findings.append(_finding("hours", wrong, f"{hours:.1f}"))
    formats = (("rate_hz", expected.rate_hz, "Hz"), ("n_channels", expected.n_channels, "channels"))
    for column, right, what in formats:
        odd = sound.loc[sound[column] != right, "fname"].tolist()
        if right is not None and odd:
            says = f"{len(odd)} clips have not {right:,} {what}: {_some(odd)}"
            findings.append(Finding(WRONG, "formats", says))
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
    known, root = sources.known_as(name_or_folder, data_dir)
    try:
        dataset, problems = sources.inspect(name_or_folder, data_dir)
    except DatasetError as error:
        if not root.is_dir():
            raise FileNotFoundError(str(error)) from None
        parts = _parts(known, root) if known else []
        return Report(name_or_folder, (*parts, Finding(WRONG, "tables", str(error))))
    return report_on(dataset, verify(dataset), problems=problems, known=known, root=root)
