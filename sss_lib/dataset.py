"""Clips, labels and families: load a collection, check that the copy is whole, keep it as a table."""

import difflib
import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.artefacts import Artefact

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".opus")
KNOWN = ("mini",)
"""Names that `load` knows; anything else is a folder."""
COLUMNS = ("fname", "path", "labels", "split", "uploader", "licence")


class DatasetError(ValueError):
    """A collection whose audio and ground truth don't fit together; the message names what and the mend."""


@dataclass(frozen=True)
class Dataset:
    """A labelled collection of clips.

    Attributes
    ----------
    name : str
    clips : pd.DataFrame [n_clips rows]
        fname, path, labels (list of str), split, uploader, licence, and whatever the ground truth adds.
        Its order is the row order of every later array.
    labels : list of str [n_labels]
        The classes that occur, sorted.
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    families : dict of str to str
        Label to family; a label without a family is absent.
    """

    name: str
    clips: pd.DataFrame
    labels: list[str]
    label_matrix: scipy.sparse.csr_array
    families: dict[str, str]

    def __len__(self) -> int:
        return len(self.clips)

    def select(self, fnames: list[str]) -> "Dataset":
        """Return the dataset of these clips, which must be in the dataset's order.

        Failed clips have no embedding: this is how the rest keeps its labels. All labels are kept.

        Raises
        ------
        DatasetError
            If an fname is unknown, repeated or out of order: embeddings and labels would not match.
        """
        own = self.clips["fname"].tolist()
        if fnames == own:
            return self
        position = {fname: i for i, fname in enumerate(own)}
        unknown = [fname for fname in fnames if fname not in position]
        if unknown:
            raise DatasetError(
                f"{len(unknown)} of {len(fnames)} embeddings belong to no clip of {self.name} "
                f"(first: {unknown[0]!r}): extract this dataset again"
            )
        rows = np.array([position[fname] for fname in fnames])
        if np.any(np.diff(rows) <= 0):
            at = int(np.flatnonzero(np.diff(rows) <= 0)[0])
            raise DatasetError(
                f"embeddings are not in the order of {self.name}: {fnames[at]!r} is before {fnames[at + 1]!r}"
            )
        clips = self.clips.iloc[rows].reset_index(drop=True)
        return Dataset(self.name, clips, self.labels, self.label_matrix[rows], self.families)

    def class_sizes(self) -> pd.Series:
        """Number of clips of each class, by label. A class needs two to be queried."""
        return pd.Series(np.asarray(self.label_matrix.sum(axis=0)).ravel(), self.labels, dtype=int)

    def n_unqueryable(self) -> int:
        """How many classes have fewer than two clips, so that no query can find another."""
        return int((self.class_sizes() < 2).sum())


def load(name_or_folder: str | Path, data_dir: str | Path | None = None) -> Dataset:
    """Dataset from a known name or from a folder that holds audio/ and ground_truth.csv.

    Parameters
    ----------
    name_or_folder : str or Path
        "mini", the embedded collection, or a folder. A folder may also hold classes.csv
        (label,parents,family): its vocabulary and families.
    data_dir : str or Path, optional
        Where the known collections are; by default the data folder of this checkout.

    Returns
    -------
    Dataset
    """
    data_dir = Path(data_dir) if data_dir else Path(__file__).parent.parent / "data"
    if str(name_or_folder) in KNOWN:
        folder, classes = data_dir / name_or_folder, data_dir / "ontology" / "fsd50k_classes.csv"
        if not folder.is_dir():
            raise DatasetError(f"{folder}, the dataset {name_or_folder!r}, does not exist: check data_dir")
    else:
        folder = Path(name_or_folder)
        classes = folder / "classes.csv"
        if not folder.is_dir():
            known = ", ".join(map(repr, KNOWN))
            raise DatasetError(
                f"{str(name_or_folder)!r} is neither a known dataset ({known}) nor a folder: "
                "give a folder that holds audio/ and ground_truth.csv"
            )
    return from_folder(
        folder / "audio",
        folder / "ground_truth.csv",
        read_families(classes) if classes.is_file() else None,
        name=folder.resolve().name,
    )


def from_folder(
    audio_dir: str | Path,
    ground_truth_csv: str | Path,
    families: Mapping[str, str] | None = None,
    *,
    name: str | None = None,
) -> Dataset:
    """Dataset from a folder of audio files and a ground truth in FSD50K's form.

    Parameters
    ----------
    audio_dir : str or Path
        Holds one file a clip, named {fname}.{suffix}; see AUDIO_SUFFIXES.
    ground_truth_csv : str or Path
        Columns fname and labels (comma-joined, with ancestors); others are kept.
    families : mapping of str to str, optional
        Every label of the vocabulary to its family ("" for none). A label outside it is an error.
    name : str, optional
        By default the name of the folder around `audio_dir`.

    Raises
    ------
    DatasetError
        Missing folder or ground truth, a listed clip without a file, a file that is not listed,
        a repeated fname, a clip without labels, a label outside the vocabulary.
    """
    audio_dir, ground_truth_csv = Path(audio_dir), Path(ground_truth_csv)
    if not audio_dir.is_dir():
        raise DatasetError(f"audio folder {audio_dir} does not exist: give the folder that holds the clips")
    if not ground_truth_csv.is_file():
        raise DatasetError(f"ground truth {ground_truth_csv} does not exist: it needs columns fname,labels")
    try:
        clips = _read_csv(ground_truth_csv)
    except DatasetError as error:
        raise DatasetError(f'{error}. Quote the labels of a clip: bark_01,"Bark,Dog,Animal"') from None
    for column in ("fname", "labels"):
        if column not in clips:
            raise DatasetError(f"{ground_truth_csv} has columns {', '.join(clips)}, but no {column!r}")
    _refuse(clips.loc[clips["fname"].duplicated(), "fname"], f"fnames stand twice in {ground_truth_csv}")
    if clips.empty:
        raise DatasetError(f"{ground_truth_csv} lists no clip: give it one line a file")
    clips["labels"] = [[label.strip() for label in row.split(",")] for row in clips["labels"]]
    unlabelled = ["" in row for row in clips["labels"]]
    _refuse(clips.loc[unlabelled, "fname"], f"clips have no label in {ground_truth_csv}")

    files = audio_files(audio_dir)
    _refuse(
        [fname for fname in clips["fname"] if fname not in files],
        f"clips have no file in {audio_dir}: an fname is the file's name without its suffix",
    )
    listed = set(clips["fname"])
    _refuse(
        [fname for fname in files if fname not in listed],
        f"files are absent from {ground_truth_csv}: add a line for each, or move the file away",
    )

    clips["path"] = [str(files[fname]) for fname in clips["fname"]]
    for column in ("split", "uploader", "licence"):
        if column not in clips:
            clips[column] = ""
    clips = clips[[*COLUMNS, *(column for column in clips if column not in COLUMNS)]]
    if families is not None:
        unknown = sorted({label for row in clips["labels"] for label in row} - set(families))
        nearest = {label: difflib.get_close_matches(label, families, 1) for label in unknown[:3]}
        hints = ", ".join(f"{label} (nearest: {near[0]})" for label, near in nearest.items() if near)
        _refuse(unknown, f"labels are outside the vocabulary of {len(families)} classes. {hints}")
    return _assemble(name or audio_dir.resolve().parent.name, clips, families or {})


def audio_files(audio_dir: str | Path) -> dict[str, Path]:
    """Audio files of a folder by fname (the name without its suffix), in sorted order.

    Raises
    ------
    DatasetError
        If two files share an fname.
    """
    paths = sorted(
        path
        for path in Path(audio_dir).iterdir()
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")
    )
    files = {path.stem: path for path in paths}
    if len(files) < len(paths):
        twice = sorted({p.stem for p in paths if files[p.stem] != p})
        _refuse(twice, f"fnames have two files in {audio_dir}: keep one of each")
    return files


def read_families(classes_csv: str | Path) -> dict[str, str]:
    """Family of each label of a vocabulary: columns label and family; "" where a label has none."""
    classes = _read_csv(classes_csv)
    for column in ("label", "family"):
        if column not in classes:
            raise DatasetError(f"{classes_csv} has columns {', '.join(classes)}, but no {column!r}")
    _refuse(classes.loc[classes["label"].duplicated(), "label"], f"labels stand twice in {classes_csv}")
    return dict(zip(classes["label"], classes["family"], strict=True))


def fingerprint(dataset: Dataset) -> str:
    """Digest of what the collection says and of every file's name, size and time of change: cheap to take."""
    digest = hashlib.sha256(dataset.clips.drop(columns="path").to_csv(index=False).encode())
    digest.update(json.dumps(dataset.families, sort_keys=True).encode())
    for path in dataset.clips["path"]:
        status = Path(path).stat()
        digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def verify(dataset: Dataset) -> pd.DataFrame:
    """Decode every clip and say what is in it: one row a clip, in dataset order.

    Returns
    -------
    pd.DataFrame
        fname, duration_s, rate_hz, n_channels, rms_db (of full scale; -inf for silence), sha256 of
        the file, and problem ("" for a clip that decodes).
    """
    import soundfile
    from tqdm import tqdm

    from sss_lib import audio

    rows = []
    for fname, path in tqdm(
        zip(dataset.clips["fname"], dataset.clips["path"], strict=True),
        desc=f"verifying {dataset.name}",
        total=len(dataset),
        unit="clip",
        mininterval=0.5,
    ):
        row = {"fname": fname, "duration_s": np.nan, "rate_hz": 0, "n_channels": 0, "rms_db": np.nan}
        row |= {"sha256": "", "problem": ""}
        try:
            row["sha256"] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            info = soundfile.info(path)
            wave = audio.decode(path, info.samplerate, max_duration_s=None)
            level = float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))
            row |= {"duration_s": len(wave) / info.samplerate, "rate_hz": info.samplerate}
            row |= {"n_channels": info.channels, "rms_db": 20 * np.log10(level) if level else -np.inf}
        except (audio.AudioError, soundfile.LibsndfileError, OSError) as error:
            row["problem"] = str(error)
        rows.append(row)
    return pd.DataFrame(rows)


def write(artefact: Artefact, dataset: Dataset, report: pd.DataFrame) -> None:
    """Write the dataset's table with the verification report's columns beside it."""
    if artefact.path.is_file():
        before, now = Path(read(artefact).clips["path"][0]).parent, Path(dataset.clips["path"][0]).parent
        if before.resolve() != now.resolve():
            raise DatasetError(
                f"{dataset.name!r} is the dataset in {before.resolve()}, and now that in {now.resolve()}: "
                f"rename one of the folders, or delete {artefact.path} to forget the first"
            )
    told_twice = [column for column in report if column != "fname" and column in dataset.clips]
    table = dataset.clips.drop(columns=["path", *told_twice]).merge(report, on="fname", validate="one_to_one")
    root = artefact.path.parent
    table.insert(1, "path", [str(_relative(path, root)) for path in dataset.clips["path"]])
    columns = {column: table[column].tolist() for column in table}
    artefact.write(columns, name=dataset.name, n_clips=len(table), families=dataset.families)


def read(artefact: Artefact) -> Dataset:
    """Dataset from the table that `write` wrote."""
    clips = pd.DataFrame(artefact.read().to_pydict())
    root = artefact.path.parent
    clips["path"] = [str(root / path) for path in clips["path"]]
    about = artefact.metadata()
    return _assemble(about["name"], clips, about["families"])


def _read_csv(path: str | Path) -> pd.DataFrame:
    """Table of strings; no column becomes an index, and no line may have more cells than the header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (ValueError, pd.errors.ParserWarning) as error:
        raise DatasetError(f"{path} is not a table in CSV: {error}") from None


def _relative(path: str, root: Path) -> Path:
    """Path as seen from a folder where both lie in one tree, so that the tree can be moved."""
    path, root = Path(path).resolve(), root.resolve()
    return Path("..") / path.relative_to(root.parent) if path.is_relative_to(root.parent) else path


def _assemble(name: str, clips: pd.DataFrame, families: Mapping[str, str]) -> Dataset:
    labels = sorted({label for row in clips["labels"] for label in row})
    column = {label: i for i, label in enumerate(labels)}
    indices = [np.unique([column[label] for label in row]) for row in clips["labels"]]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in indices])])
    indices = np.concatenate(indices) if indices else np.empty(0, int)
    shape = (len(clips), len(labels))
    matrix = scipy.sparse.csr_array((np.ones(len(indices), bool), indices, indptr), shape=shape)
    known = {label: families[label] for label in labels if families.get(label)}
    return Dataset(name, clips, labels, matrix, known)


def _refuse(items: object, what: str) -> None:
    """Raise DatasetError if there are any items, naming their number and the first few."""
    items = list(items)
    if items:
        first = ", ".join(map(repr, items[:3])) + (", ..." if len(items) > 3 else "")
        raise DatasetError(f"{len(items)} {what} ({first})")
