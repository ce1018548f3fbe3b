"""Which clips there are and how they are labelled: tables in CSV, folders of classes, or no labels."""

import ast
import csv
import io
import os
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

import pandas as pd

from sss_lib.io.errors import OneLineError
from sss_lib.io.names import AUDIO_SUFFIXES, composed, has_controls, listed

COLUMNS = ("fname", "path", "labels", "split", "uploader", "licence")
_QUOTED = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_LIST = re.compile(rf"[\[({{]\s*{_QUOTED}(\s*,\s*{_QUOTED})*\s*,?\s*[\])}}]")
"""A list as Python, pandas or JSON write it."""


class DatasetError(OneLineError, ValueError):
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
    left_out : list of str
        A sentence on files without a line, which may be meant.
    """

    clips: pd.DataFrame
    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def of_csv(
    ground_truth_csv: str | Path,
    files: Mapping[str, Path],
    audio_dir: str | Path,
    vocabulary: Container[str] = (),
    *,
    needs_audio: bool = True,
) -> GroundTruth:
    """Ground truth from a table with the columns fname and labels (see `labels_in`); others are kept.

    Parameters
    ----------
    ground_truth_csv : str or Path
    files : mapping of str to Path
        The audio files by fname (see `audio_files`).
    audio_dir : str or Path
        Where they are, for messages.
    vocabulary : container of str
        Known labels, which may hold any sign.
    needs_audio : bool
        Whether a clip without a file is left out, as a problem.

    Raises
    ------
    DatasetError
        If there is no such table, it lacks a column or any row, or a cell doesn't say what its labels are.
    """
    if not Path(ground_truth_csv).is_file():
        raise DatasetError(f"ground truth {ground_truth_csv} does not exist: it needs columns fname,labels")
    clips = read_csv(ground_truth_csv)
    if absent := [column for column in ("fname", "labels") if column not in clips]:
        raise DatasetError(
            f"{_lacks(ground_truth_csv, clips, absent)}: call the columns of the files and of their labels "
            'fname and labels. A line is like this: bark_01,"Bark,Dog,Animal"'
        )
    if clips.empty:
        raise DatasetError(f"{ground_truth_csv} lists no clip: give it one line a file")
    clips["fname"] = [_fname(cell, files) for cell in clips["fname"]]
    try:
        clips["labels"] = [labels_in(cell, vocabulary) for cell in clips["labels"]]
    except DatasetError as error:
        raise DatasetError(f"{ground_truth_csv}: {error}") from None
    names = [*clips["fname"], *(label for row in clips["labels"] for label in row)]
    odd = dict.fromkeys(name for name in names if has_controls(name))
    refuse(odd, f"fnames and labels in {ground_truth_csv} have signs that no text has: rename them")
    for column in {"split", "uploader", "licence"} & {*clips}:
        clips[column] = clips[column].str.strip()
    clips = clips.drop(columns="", errors="ignore")  # the index that pandas writes unless told not to
    where, audio_dir = str(ground_truth_csv), str(audio_dir)
    return of_table(clips, files, where=where, audio_dir=audio_dir, needs_audio=needs_audio)


def _fname(cell: str, files: Mapping[str, Path]) -> str:
    """The fname in a cell, which may be a file's whole name, or a path of it."""
    if cell in files:
        return cell
    cell = cell.strip()
    path = PureWindowsPath(cell)  # whose separators are either
    is_file = cell not in files and path.stem in files and path.name == composed(files[path.stem].name)
    return path.stem if is_file else cell


def labels_in(cell: str, vocabulary: Container[str] = ()) -> list[str]:
    """Labels of a cell: joined by commas, one that holds a comma in quotes; or a list of Python or JSON.

    Raises
    ------
    DatasetError
        If the cell is another list, or a label that isn't in the vocabulary seems to be several.

    Examples
    --------
    >>> labels_in("Bark, Dog"), labels_in("['Bark', 'Dog']"), labels_in('"Speech, male",Speech')
    (['Bark', 'Dog'], ['Bark', 'Dog'], ['Speech, male', 'Speech'])
    """
    cell = cell.strip()
    if cell in vocabulary:
        return [cell]
    is_list = cell == "[]" or _LIST.fullmatch(cell)
    remedy = (
        "join labels by commas, as in Dog,Bark, put one that holds a comma into double quotes, and list "
        "names with signs such as ; | [ in the column label of classes.csv"
    )
    try:
        if is_list:
            found = list(ast.literal_eval(f"[{cell[1:-1]}]"))
        else:
            (found,) = csv.reader([cell], strict=True, skipinitialspace=True) if cell else [[""]]
    except (ValueError, SyntaxError, csv.Error) as error:
        raise DatasetError(f"labels {cell!r} can't be told apart ({error}): {remedy}") from None
    found = [label.strip() for label in found]
    joined = [label for label in found if label not in vocabulary and re.search(r"[;|\t\r\n]", label)]
    if joined or (cell[:1] + cell[-1:] == "[]" and not is_list):
        raise DatasetError(f"labels {cell!r} are not joined by commas: {remedy}")
    return list(dict.fromkeys(found))


def of_table(
    clips: pd.DataFrame, files: Mapping[str, Path], *, where: str, audio_dir: str, needs_audio: bool = True
) -> GroundTruth:
    """Ground truth of the clips in a table that have labels and a file; problems list the others."""
    listed, repeated = set(clips["fname"]), clips["fname"].duplicated()
    unlabelled = pd.Series([not any(row) for row in clips["labels"]], index=clips.index)
    half = pd.Series(["" in row for row in clips["labels"]], index=clips.index) & ~unlabelled
    absent = ~clips["fname"].isin(list(files)) & needs_audio
    problems = [
        *complaint(clips.loc[repeated, "fname"], f"fnames stand twice in {where}"),
        *complaint(clips.loc[unlabelled, "fname"], f"clips have no label in {where}"),
        *complaint(clips.loc[half, "fname"], f"clips have a comma too many among their labels in {where}"),
        *complaint(
            clips.loc[absent, "fname"],
            f"clips have no file in {audio_dir}: an fname is the file's name, with or without its suffix; "
            "for a collection without audio, give needs_audio=False (--no-audio)",
        ),
    ]
    without = complaint(
        [fname for fname in files if fname not in listed],
        f"files are absent from {where}: add a line for each, or move the file away",
    )
    clips = clips[~(repeated | unlabelled | half | absent)].reset_index(drop=True)
    paths = [str(files.get(fname, Path(audio_dir, fname))) for fname in clips["fname"]]
    return GroundTruth(clips.assign(path=paths), problems, without)


def of_folder(
    folder: str | Path,
    vocabulary: Container[str] = (),
    table: str | Path | None = None,
    *,
    needs_audio: bool = True,
) -> GroundTruth:
    """Ground truth of a user's own folder, by its content.

    - A table with the columns fname and labels: the one that is given, or ground_truth.csv, or the only such
      table. The audio is in audio/ or beside it.
    - No table, and folders of audio files: each is a class. The fname of dog/1.wav is dog-1.
    - No table, and audio files: clips without labels.
    """
    folder = Path(folder)
    audio_dir = folder / "audio" if (folder / "audio").is_dir() else folder
    table = table or _table_in(folder)
    if table is not None:
        files = audio_files(audio_dir)
        where = audio_dir if files else folder / "audio"
        return of_csv(table, files, where, vocabulary, needs_audio=needs_audio)
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
    paths = listed(folder, "*.csv")
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


def read_csv(
    path: str | Path, needs: Iterable[str] = (), *, header: Sequence[str] | None = None
) -> pd.DataFrame:
    """Table of strings, each as it is written: none is a gap or a number.

    Parameters
    ----------
    path : str or Path
    needs : iterable of str
        Columns that it must have.
    header : sequence of str, optional
        Names of the columns of a table whose first line is no header.

    Raises
    ------
    DatasetError
        If there is no such table, it lacks a column or has one twice, or a line has more cells than there are
        columns.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist") from None
    if b"\0" in content:
        raise DatasetError(f"{path} is not a table in CSV: it holds zero bytes, so save it as UTF-8 text")
    try:
        text = io.StringIO(composed(content.decode("utf-8-sig")), newline="")
        reader = csv.reader(text, strict=True)
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not a table in CSV: save it as UTF-8 text ({error})") from None
    except csv.Error as error:
        raise DatasetError(f"{path} is not a table in CSV: {error}") from None
    if header is None and not lines:
        raise DatasetError(f"{path} is not a table in CSV: it is empty")
    names = [name.strip() for name in (header or lines.pop(0)[1])]
    while names and not names[-1]:  # spreadsheets end every line with a comma
        names.pop()
    if header is None and len(names) == 1 and re.search(r"[;\t]|^sep=", names[0]):
        raise DatasetError(
            f"{path} begins with {names[0][:80]!r}: save it as CSV with commas between the cells, and the "
            "names of the columns in the first line"
        )
    refuse(sorted({name for name in names if names.count(name) > 1}), f"columns stand twice in {path}")
    for number, cells in lines:
        if any(cells[len(names) :]):
            raise DatasetError(
                f"line {number} of {path} has {len(cells)} cells, where {', '.join(names)} are {len(names)}: "
                "put a cell that holds commas into double quotes"
            )
    rows = [(cells + [""] * len(names))[: len(names)] for _, cells in lines]
    table = pd.DataFrame(rows, columns=names, dtype=object)
    if absent := [column for column in needs if column not in table]:
        raise DatasetError(_lacks(path, table, absent))
    return table


def _lacks(path: str | Path, table: pd.DataFrame, absent: Sequence[str]) -> str:
    return f"{path} has columns {', '.join(table)}, but no {' and no '.join(map(repr, absent))}"


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
