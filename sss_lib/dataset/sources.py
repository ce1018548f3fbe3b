"""Where datasets come from: collections that are known by name, and folders of one's own."""

import contextlib
import dataclasses
import os
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sss_lib.dataset import ground_truth as tables
from sss_lib.dataset import taxonomy
from sss_lib.dataset.dataset import Dataset, assemble, checked_name, windows_name
from sss_lib.dataset.ground_truth import COLUMNS, DatasetError, GroundTruth, complaint
from sss_lib.dataset.known import CATALOGUE, collection, imitations
from sss_lib.dataset.known.collection import Collection
from sss_lib.dataset.taxonomy import Taxonomy
from sss_lib.io.names import did_you_mean, require_text

Window = float | Sequence[float]
"""Seconds of a window, and between the starts of two."""
Families = Mapping[str, Sequence[str]]
"""Family to its labels."""
KNOWN = tuple(CATALOGUE)
"""Names that `load` knows; anything else is a folder."""


def load(
    name_or_folder: str | Path,
    data_dir: str | Path | None = None,
    *,
    query: str | None = None,
    name: str | None = None,
    add_ancestors: bool = False,
    ground_truth: str | Path | None = None,
    families: str | Path | Families | None = None,
    needs_audio: bool = True,
    strict: bool = False,
    window: Window | None = None,
) -> Dataset:
    """Dataset from a known name, which is fetched if it is missing, or from a folder.

    Parameters
    ----------
    name_or_folder : str or Path
        One of `KNOWN`, or a folder (see `ground_truth.of_folder`): with audio files and a table
        fname,labels; with one folder of audio files a class; with vocal imitations of sounds (see
        `known.imitations`); or with audio files alone, without labels.
        A folder may also hold families.json, or classes.csv (label,family and parents): its vocabulary.
    data_dir : str or Path, optional
        Holds the known collections; by default the data folder of this checkout.
    query : str, optional
        Only the clips that satisfy it: see `Dataset.subset`.
    name : str, optional
        Of the dataset; by default that of the collection or folder, with a digest of the query if any.
    add_ancestors : bool
        Whether each clip gets the ancestors of its labels, by the vocabulary.
    ground_truth : str or Path, optional
        Table of the clips to take and their labels, in place of the collection's own: any subset of it.
    families : str, Path or mapping, optional
        The labels of each family, or a JSON file of them, in place of the vocabulary's own.
    needs_audio : bool
        Whether a clip without a file is an error. Without audio there are still embeddings of others.
    strict : bool
        Whether a file without a line in the ground truth is an error, rather than left out and counted.
    window : float, or two of them, optional
        Cuts files into clips of so many seconds, one every so many: see `Dataset.windows`.

    Returns
    -------
    Dataset

    Raises
    ------
    DatasetError
        If audio and ground truth don't fit together: a listed clip without a file, a file that isn't listed,
        a repeated fname, a clip without labels, a label outside the vocabulary, ...
    OSError
        If a known collection can't be fetched.
    """
    check_is_name(name_or_folder)
    known, root = known_as(name_or_folder, data_dir)
    if known and not needs_audio:
        raise DatasetError(
            f"{known.name} has its audio: without it, give the folder of its ground truth in its place"
        )
    if known:
        collection.fetch(known, root)
        known.check_exists(root)
    how = (query, name, add_ancestors, ground_truth, families, needs_audio, window)
    found, problems = _read(known, root, *how)
    _require_other_name(found.name, known.name if known else "")
    return _without_misfits(found, problems, strict)


def _require_other_name(name: str, own: str) -> None:
    """Raise DatasetError if what is not a known collection would take the place of its results."""
    known = name.casefold()  # some systems' folders are the same in any case
    if known in KNOWN and name != own:
        raise DatasetError(
            f"{name!r} is the name of a known collection, whose results these would replace: give another by "
            f"--name or NAME=, or for that collection {known} in place of a path"
        )


def _without_misfits(dataset: Dataset, problems: list[str], strict: bool) -> Dataset:
    """Return a dataset; raise DatasetError if there are problems, or, if strict, files were left out."""
    if problems := [*problems, *(dataset.left_out if strict else ())]:
        raise DatasetError("\n".join(problems))
    return dataset


def inspect(
    name_or_folder: str | Path, data_dir: str | Path | None = None, **choice: Any
) -> tuple[Dataset, list[str]]:
    """Return the dataset of the usable clips, and a sentence on each misfit.

    Nothing is fetched. See `load`, also for what can be chosen.

    Raises
    ------
    DatasetError
        If there is nothing to use at all.
    """
    return _read(*check_exists(name_or_folder, data_dir), **choice)


def _read(
    known: Collection | None,
    root: Path,
    query: str | None = None,
    name: str | None = None,
    add_ancestors: bool = False,
    ground_truth: str | Path | None = None,
    families: str | Path | Families | None = None,
    needs_audio: bool = True,
    window: Window | None = None,
) -> tuple[Dataset, list[str]]:
    """Return the dataset of a collection or a folder, and a sentence on each misfit."""
    classes = _taxonomy(known, root)
    vocabulary = classes.parents if classes else ()
    if known:
        found = known.read(root)
        # Nothing is left out of a known collection by choice.
        found = GroundTruth(found.clips, found.problems + found.left_out)
        if ground_truth:
            found = _chosen_of(found, ground_truth, root, vocabulary)
    elif imitations.is_one(root) and not ground_truth:
        found = imitations.read(root)
    else:
        found = tables.of_folder(root, vocabulary, ground_truth, needs_audio=needs_audio)
    if families is None and not known and (root / "families.json").is_file():
        families = root / "families.json"
    of_label = None if families is None else taxonomy.read_families(families)
    own_name = _own_name(known.name if known else root.resolve().name, ground_truth)
    whole, problems = _label(own_name, root, found, classes, add_ancestors, of_label)
    if query:
        whole = dataclasses.replace(whole.subset(query, name), left_out=whole.left_out)
    else:
        whole = dataclasses.replace(whole, name=checked_name(own_name, None, name))
    return (whole.windows(*_window(window), name) if window else whole), problems


def _window(window: Window) -> tuple[float, float]:
    """Length and distance of windows, which are the same where one number is given."""
    length_s, hop_s = window if isinstance(window, Sequence) else (window, window)
    return length_s, hop_s


def _own_name(name: str, csv: str | Path | None) -> str:
    return f"{name}-{Path(csv).stem}" if csv else name


def _chosen_of(found: GroundTruth, csv: str | Path, root: Path, vocabulary: Container[str]) -> GroundTruth:
    """Ground truth by a table of some clips of a known collection, with what else is known of each."""
    files = dict(zip(found.clips["fname"], map(Path, found.clips["path"]), strict=True))
    chosen = tables.of_csv(csv, files, root, vocabulary)
    more = [name for name in found.clips if name == "fname" or name not in chosen.clips]
    clips = chosen.clips.merge(found.clips[more], on="fname", how="left")
    return GroundTruth(clips, found.problems + chosen.problems, chosen.left_out)


def check_is_name(name_or_folder: str | Path) -> None:
    """Raise DatasetError if this is neither the name of a known collection nor a folder."""
    if not isinstance(name_or_folder, os.PathLike):
        require_text(name_or_folder, "dataset", DatasetError)
    if str(name_or_folder) not in KNOWN and not _folder(name_or_folder).is_dir():
        hint = did_you_mean(name_or_folder, KNOWN)
        raise DatasetError(
            f"{str(name_or_folder)!r} is neither a known dataset ({', '.join(map(repr, KNOWN))}) nor a "
            f"folder: {hint}{'Else ' if hint else ''}give a folder that holds audio files"
        )


def check_exists(
    name_or_folder: str | Path, data_dir: str | Path | None = None
) -> tuple[Collection | None, Path]:
    """Return what `known_as` does; raise DatasetError if anything of it is missing. Nothing is fetched."""
    check_is_name(name_or_folder)
    known, root = known_as(name_or_folder, data_dir)
    if known:
        known.check_exists(root)
    return known, root


def fetch(name_or_folder: str | Path, data_dir: str | Path | None = None, **options: Any) -> None:
    """Download, check and unpack what is missing of a known collection; see `known.collection.fetch`."""
    known, root = known_as(name_or_folder, data_dir)
    if known:
        collection.fetch(known, root, **options)


def known_as(
    name_or_folder: str | Path, data_dir: str | Path | None = None
) -> tuple[Collection | None, Path]:
    """Return the collection of a known name and its folder; or None, and the folder that was named."""
    if known := CATALOGUE.get(str(name_or_folder)):
        return known, Path(data_dir or Path(__file__).parents[2] / "data") / known.folder
    return None, _folder(name_or_folder)


def _folder(path: str | Path) -> Path:
    """Path of a folder; a ~ that the shell has left is the home folder, unless a folder has that name."""
    with contextlib.suppress(RuntimeError):  # no such user
        return Path(path) if Path(path).exists() else Path(path).expanduser()
    return Path(path)


def taxonomy_of(name_or_folder: str | Path, data_dir: str | Path | None = None) -> Taxonomy | None:
    """Vocabulary of a known collection or of a folder; None if it has none."""
    return _taxonomy(*known_as(name_or_folder, data_dir))


def _taxonomy(known: Collection | None, root: Path) -> Taxonomy | None:
    if known:
        return known.taxonomy()
    return taxonomy.read(root / "classes.csv") if (root / "classes.csv").is_file() else None


def name_of(
    name_or_folder: str | Path,
    query: str | None = None,
    name: str | None = None,
    ground_truth: str | Path | None = None,
    window: Window | None = None,
) -> str:
    """Name that `load` gives a dataset.

    Raises
    ------
    DatasetError
        If it can't be the name of a file, or a subset would have that of the whole.

    Examples
    --------
    >>> name_of("sounds/birds", window=(5, 2.5)), name_of("mini", "licence == 'CC0-1.0'")
    ('birds-5s-2.5s', 'mini-2b5e4a')
    """
    own = str(name_or_folder) if str(name_or_folder) in KNOWN else _folder(name_or_folder).resolve().name
    used = checked_name(_own_name(own, ground_truth), query, name)
    used = windows_name(used, *_window(window)) if window and not name else used
    _require_other_name(used, str(name_or_folder))
    return used


def from_folder(
    audio_dir: str | Path,
    ground_truth_csv: str | Path,
    families: str | Path | Mapping[str, str] | Families | Taxonomy | None = None,
    *,
    name: str | None = None,
    add_ancestors: bool = False,
    needs_audio: bool = True,
    strict: bool = False,
) -> Dataset:
    """Dataset from a folder of audio files and a ground truth in FSD50K's form.

    Parameters
    ----------
    audio_dir : str or Path
        Holds one file a clip, named {fname}.{suffix}; see AUDIO_SUFFIXES.
    ground_truth_csv : str or Path
        Columns fname and labels (comma-joined, with ancestors); others are kept. Files that it doesn't list
        are left out and counted.
    families : mapping, Taxonomy, str or Path, optional
        Every label of the vocabulary to its family ("" for none): a label outside it is an error. Or each
        family to a list of its labels, or a JSON file of that: other labels have no family.
    name : str, optional
        By default the name of the folder around `audio_dir`.
    add_ancestors : bool
        Whether each clip gets the ancestors of its labels, by the taxonomy.
    needs_audio, strict : bool
        As in `load`.

    Raises
    ------
    DatasetError
        As from `load`.
    """
    files = tables.audio_files(audio_dir) if needs_audio or Path(audio_dir).is_dir() else {}
    classes = families if isinstance(families, Taxonomy) else None
    of_label: Any = families if classes is None else None
    if isinstance(of_label, Mapping) and all(isinstance(family, str) for family in of_label.values()):
        classes, of_label = Taxonomy(dict.fromkeys(of_label, ()), of_label), None
    vocabulary = classes.parents if classes else ()
    found = tables.of_csv(ground_truth_csv, files, audio_dir, vocabulary, needs_audio=needs_audio)
    name = name or Path(audio_dir).resolve().parent.name
    of_label = None if of_label is None else taxonomy.read_families(of_label)
    return _without_misfits(*_label(name, Path(audio_dir), found, classes, add_ancestors, of_label), strict)


def _label(
    name: str,
    root: Path,
    found: GroundTruth,
    classes: Taxonomy | None,
    add_ancestors: bool,
    of_label: Mapping[str, str] | None = None,
) -> tuple[Dataset, list[str]]:
    """Return the dataset of a ground truth and a vocabulary, and a sentence on each misfit."""
    clips, problems = found.clips, list(found.problems)
    if classes is not None:
        unknown = sorted({label for row in clips["labels"] for label in row} - set(classes.families))
        hints = {label: did_you_mean(label, classes.families) for label in unknown[:3]}
        shown = " ".join(f"{label}: {hint.strip()}" for label, hint in hints.items() if hint)
        n_classes = len(classes.families)
        problems += complaint(unknown, f"labels are outside the vocabulary of {n_classes} classes. {shown}")
    else:
        labels = sorted({label for row in clips["labels"] for label in row})
        problems += [
            f"labels {', '.join(map(repr, alike))} differ only in case or spaces: write one, or list each in "
            "the column label of classes.csv"
            for alike in pd.Series(labels, dtype=object).groupby([_letters(one) for one in labels]).agg(list)
            if len(alike) > 1
        ]
    if add_ancestors:
        if classes is None:
            raise DatasetError(
                f"{name} has no vocabulary that would tell ancestors: add classes.csv, label,parents"
            )
        clips = clips.assign(labels=[classes.complete(row) for row in clips["labels"]])
    absent = {column: "" for column in ("split", "uploader", "licence") if column not in clips}
    clips = clips.assign(**absent)
    clips = clips[[*COLUMNS, *(column for column in clips if column not in COLUMNS)]]
    families, parents = (classes.families, classes.parents) if classes else ({}, None)
    dataset = assemble(name, clips, families if of_label is None else of_label, str(root), parents)
    if of_label and not dataset.families:
        problems.append(
            f"none of the {len(of_label)} labels of the families ({next(iter(of_label))!r}, ...) is among "
            f"the {len(dataset.labels)} of {name}: give the families of these labels"
        )
    return dataclasses.replace(dataset, left_out=tuple(found.left_out)), problems


def _letters(label: str) -> str:
    """Label without what the eye passes over: case, spaces and signs of no width."""
    return "".join(sign for sign in label if sign.isprintable() and not sign.isspace()).casefold()
