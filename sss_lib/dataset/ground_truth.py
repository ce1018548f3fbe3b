"""Which clips there are and how they are labelled: tables in CSV, folders of classes, or no labels."""

import io
import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from sss_lib.io import audio
from sss_lib.io.names import composed, has_controls

COLUMNS = ("fname", "path", "labels", "split", "uploader", "licence")
AUDIO_SUFFIXES = (*audio.SUFFIXES, *audio.FFMPEG_SUFFIXES)


class DatasetError(ValueError):
    """A collection whose audio and ground truth don't fit together; the message gives the remedy."""


@dataclass
class GroundTruth:
    """Clips of a collection with their labels.

    Attributes
    ----------
    clips : pd.DataFrame
        fname, path, labels (list of str), and whatever else is known: split, uploader, licence, ...
    problems : list of str
        A sentence on each misfit; the clips concerned are left out.
    """

    clips: pd.DataFrame
    problems: list[str] = field(default_factory=list)


def of_csv(ground_truth_csv: str | Path, files: Mapping[str, Path], audio_dir: str | Path) -> GroundTruth:
    """Ground truth from a table with the columns fname and labels (comma-joined); others are kept.

    Parameters
    ----------
    ground_truth_csv : str or Path
    files : mapping of str to Path
        The audio files by fname (see `audio_files`).
    audio_dir : str or Path
        Where they are, for messages.

    Raises
    ------
    DatasetError
        If there is no such table, or it lacks a column or any row.
    """
    if not Path(ground_truth_csv).is_file():
        raise DatasetError(f"ground truth {ground_truth_csv} does not exist: it needs columns fname,labels")
    try:
        clips = read_csv(ground_truth_csv, needs=("fname", "labels"))
    except DatasetError as error:
        raise DatasetError(f'{error}. A line is like this: bark_01,"Bark,Dog,Animal"') from None
    if clips.empty:
        raise DatasetError(f"{ground_truth_csv} lists no clip: give it one line a file")
    as_file = clips["fname"].isin(list(files))
    clips["fname"] = clips["fname"].where(as_file, clips["fname"].str.strip())
    clips["labels"] = [[label.strip() for label in row.split(",")] for row in clips["labels"]]
    return of_table(clips, files, where=str(ground_truth_csv), audio_dir=str(audio_dir))


def of_table(clips: pd.DataFrame, files: Mapping[str, Path], *, where: str, audio_dir: str) -> GroundTruth:
    """Ground truth of the clips in a table that have labels and a file; problems list the others."""
    listed, repeated = set(clips["fname"]), clips["fname"].duplicated()
    unlabelled = pd.Series([not any(row) for row in clips["labels"]], index=clips.index)
    half = pd.Series(["" in row for row in clips["labels"]], index=clips.index) & ~unlabelled
    absent = ~clips["fname"].isin(list(files))
    problems = [
        *complaint(clips.loc[repeated, "fname"], f"fnames stand twice in {where}"),
        *complaint(clips.loc[unlabelled, "fname"], f"clips have no label in {where}"),
        *complaint(clips.loc[half, "fname"], f"clips have a comma too many among their labels in {where}"),
        *complaint(
            clips.loc[absent, "fname"],
            f"clips have no file in {audio_dir}: an fname is the file's name without its suffix",
        ),
        *complaint(
            [fname for fname in files if fname not in listed],
            f"files are absent from {where}: add a line for each, or move the file away",
        ),
    ]
    clips = clips[~(repeated | unlabelled | half | absent)].reset_index(drop=True)
    return GroundTruth(clips.assign(path=[str(files[fname]) for fname in clips["fname"]]), problems)


def of_folder(folder: str | Path) -> GroundTruth:
    """Ground truth of a user's own folder, by its content.

    - A table with the columns fname and labels: ground_truth.csv, or the only such table. The audio is in
      audio/ or beside it.
    - No table, and folders of audio files: each is a class. The fname of dog/1.wav is dog-1.
    - No table, and audio files: clips without labels.
    """
    folder = Path(folder)
    audio_dir = folder / "audio" if (folder / "audio").is_dir() else folder
    table = _table_in(folder)
    if table is not None:
        files = audio_files(audio_dir)
        return of_csv(table, files, audio_dir if files else folder / "audio")
    if (folder / "classes.csv").is_file():
        raise DatasetError(f"{folder / 'ground_truth.csv'} does not exist, but classes.csv does: add it")
    classes = {composed(path.name): files for path in _folders(audio_dir) if (files := audio_files(path))}
    deeper = [below for path in _folders(audio_dir) for below in _folders(path) if audio_files(below)]
    refuse(map(str, deeper), f"folders lie too deep: {audio_dir} should hold one folder a class")
    files = audio_files(audio_dir)
    if classes and files:
        raise DatasetError(
            f"{audio_dir} holds audio files ({next(iter(files))!r}, ...) and folders of them "
            f"({next(iter(classes))!r}, ...): put every file into the folder of its class, or write a table"
        )
    if classes:
        found = ((name, stem, path) for name, own in classes.items() for stem, path in own.items())
        rows = [(f"{name}-{stem}", str(path), [name]) for name, stem, path in found]
    else:
        rows = [(stem, str(path), []) for stem, path in files.items()]
    if not rows:
        kinds = ", ".join(suffix[1:] for suffix in AUDIO_SUFFIXES)
        raise DatasetError(f"{audio_dir} holds no audio file ({kinds}), and no folder of them")
    clips = pd.DataFrame(rows, columns=["fname", "path", "labels"])
    repeated = clips["fname"].duplicated()
    problems = complaint(clips.loc[repeated, "fname"], f"fnames stand twice in {audio_dir}: rename the files")
    return GroundTruth(clips[~repeated].reset_index(drop=True), problems)


def _table_in(folder: Path) -> Path | None:
    """Path of the folder's ground truth, if it has one."""
    if (folder / "ground_truth.csv").is_file():
        return folder / "ground_truth.csv"
    paths = [path for path in sorted(folder.glob("*.csv")) if not path.name.startswith(".")]
    refuse(
        [path.name for path in paths if not path.is_file()],
        f"names in {folder} are those of tables, but belong to folders or to links that lead nowhere",
    )
    headers = {path: _header(path) for path in paths if path.name != "classes.csv"}
    found = [path for path, header in headers.items() if {"fname", "labels"} <= set(_cells(header))]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DatasetError(f"{folder} holds {len(found)} tables, {names}: call one of them ground_truth.csv")
    if headers and not found:
        begin = "; ".join(f"{path.name} with {header[:80]!r}" for path, header in headers.items())
        raise DatasetError(
            f"{folder} holds no table of labels, which would begin with 'fname,labels' in UTF-8, but "
            f"{begin}: write such a table, or move what is none away to use the folder without"
        )
    return found[0] if found else None


def _header(path: Path) -> str:
    """First line of a table."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.readline().rstrip("\n")


def _cells(header: str) -> list[str]:
    return [name.strip(' "') for name in header.split(",")]


def audio_files(audio_dir: str | Path) -> dict[str, Path]:
    """Audio files of a folder by fname (the name without its suffix), in sorted order.

    Raises
    ------
    DatasetError
        If there is no such folder, or two files share an fname.
    """
    if not Path(audio_dir).is_dir():
        raise DatasetError(f"audio folder {audio_dir} does not exist: give the folder that holds the clips")
    names = sorted(name for name in os.listdir(audio_dir) if _is_audio(name))
    odd = [name for name in names if has_controls(name)]
    refuse(odd, f"files in {audio_dir} have names with signs that no text has: rename them")
    return by_fname([Path(audio_dir, name) for name in names], audio_dir)


def by_fname(paths: Iterable[Path], audio_dir: str | Path) -> dict[str, Path]:
    """Files by fname, the name without its suffix; two of one fname are a DatasetError."""
    files: dict[str, Path] = {}
    twice = [path.stem for path in paths if files.setdefault(composed(path.stem), path) is not path]
    refuse(sorted(set(twice)), f"fnames have two files in {audio_dir}: keep one of each")
    return files


def _folders(path: Path) -> list[Path]:
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and not _is_audio(entry.name)]
    return [path / name for name in sorted(names) if not name.startswith(".")]


def _is_audio(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES and not name.startswith(".")


def read_csv(path: str | Path, needs: Iterable[str] = (), **options: object) -> pd.DataFrame:
    """Table of strings; no column becomes an index, and no line may have more cells than the header.

    Raises
    ------
    DatasetError
        If there is no such table, or it lacks a column that is needed.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist") from None
    if b"\0" in content:
        raise DatasetError(f"{path} is not a table in CSV: it holds zero bytes, so save it as UTF-8 text")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                io.BytesIO(content), dtype=str, keep_default_na=False, index_col=False, **options
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        raise DatasetError(f"{path} is not a table in CSV: {error}") from None
    table = table.rename(columns=str.strip).apply(lambda column: column.map(composed))
    for column in needs:
        if column not in table:
            raise DatasetError(f"{path} has columns {', '.join(table)}, but no {column!r}")
    return table


def complaint(items: Iterable[object], what: str) -> list[str]:
    """A sentence with the number of items and the first three; none if there are no items.

    Examples
    --------
    >>> complaint(["a", "b"], "labels are unknown"), complaint([], "labels are unknown")
    (["2 labels are unknown ('a', 'b')"], [])
    """
    items = list(items)
    first = ", ".join(map(repr, items[:3])) + (", ..." if len(items) > 3 else "")
    return [f"{len(items)} {what} ({first})"] if items else []


def refuse(items: Iterable[object], what: str) -> None:
    """Raise DatasetError with a complaint if there are any items."""
    for sentence in complaint(items, what):
        raise DatasetError(sentence)
