"""Where each artefact lives, and how it is written and read: atomic, self-describing Parquet.

A `Store` knows the tree under the data folder and hands out `Artefact`s. Each artefact carries a recipe in
its schema metadata: the parameters, the digests of its inputs, and the code and version that made it. It is
current while the recipe that a run would use today is the recipe that it carries.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sss_lib import __version__

if TYPE_CHECKING:
    from sss_lib.grid import Grid, Variant
    from sss_lib.processing import Processing

_KEY = b"sss_lib"


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; rename it to `path` if the block succeeds.

    A reader sees the old file or the whole new one, and a failed or killed writer leaves the old one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    try:
        yield Path(name)
        with open(name, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


class DamagedArtefactError(ValueError):
    """A file that is no artefact: damaged, or written by something else."""


class StaleArtefactError(ValueError):
    """An artefact that was made from other inputs than those that are there now."""


@dataclass(frozen=True)
class Artefact:
    """A Parquet file with the recipe that makes it.

    Attributes
    ----------
    path : Path
    parameters : mapping
        What was chosen: JSON values only.
    inputs : mapping of str to (Artefact or str)
        What it is made from: other artefacts, or digests of things that are none.
    modules : tuple of str
        The modules of sss_lib whose code makes it.
    made_by : str
        The notebook that writes it, for messages.
    """

    path: Path
    parameters: Mapping[str, object]
    inputs: Mapping[str, "Artefact | str"] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    made_by: str = ""

    def recipe(self) -> dict:
        """What would make this artefact today. Inputs must exist."""
        inputs = {
            name: value if isinstance(value, str) else value.digest() for name, value in self.inputs.items()
        }
        return {
            "parameters": dict(self.parameters),
            "inputs": inputs,
            "code": code_digest(self.modules),
            "version": __version__,
        }

    def is_current(self) -> bool:
        """Whether the file exists and carries the recipe that a run would use today."""
        try:
            return self.metadata()["recipe"] == json.loads(json.dumps(self.recipe()))
        except (FileNotFoundError, DamagedArtefactError):
            return False

    def metadata(self) -> dict:
        """What the file says of itself: its recipe, the digest of its columns, and extras."""
        self._require()
        try:
            return json.loads(pq.read_schema(self.path).metadata[_KEY])
        except (pa.ArrowException, KeyError, TypeError) as error:
            raise DamagedArtefactError(
                f"{self.path} is not an artefact of sss_lib: delete it ({error})"
            ) from None

    def digest(self) -> str:
        """Digest of the columns: equal contents have equal digests, whatever made them."""
        return self.metadata()["digest"]

    def write(self, columns: Mapping[str, object], **extra: object) -> None:
        """Write columns (see `to_table`) with their recipe, atomically.

        Parameters
        ----------
        columns : mapping of str to array
        **extra : JSON values
            Kept in the metadata beside the recipe.
        """
        table = to_table(columns)
        digest = hashlib.sha256(table.schema.to_string(show_schema_metadata=False).encode())
        for column in table.combine_chunks().columns:
            for buffer in column.chunk(0).buffers() if column.num_chunks else []:
                digest.update(buffer or b"")
        about = {"recipe": self.recipe(), "digest": digest.hexdigest(), **extra}
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: json.dumps(about)})
        with replacing(self.path) as temporary:
            # Floats hardly shrink: of what shrinks them, this is the fastest to undo.
            pq.write_table(table, temporary, compression="lz4", write_page_checksum=True)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the columns back; by default all.

        Raises
        ------
        FileNotFoundError
            If the file doesn't exist.
        DamagedArtefactError
            If its bytes have changed since it was written.
        StaleArtefactError
            If it was made from other inputs than are there now.
        """
        self._require_inputs()
        with self._intact():
            return pq.read_table(self.path, columns=columns, page_checksum_verification=True)

    def mapped(self, column: str) -> np.ndarray:
        """Column [n, d], memory-mapped and read-only: what isn't looked at is not read. Raises as `read`.

        Parquet can't be mapped, so that the first call decodes the column, some rows at a time, into a file
        beside it. This bears the digest of the columns: a changed artefact gets a new one, and the old goes.
        One that has not the size or the head that it should have is made anew.
        """
        self._require_inputs()
        with self._intact():
            about = pq.read_metadata(self.path)
        schema = about.schema.to_arrow_schema()
        kind = schema.field(column).type if column in schema.names else pa.null()
        if not pa.types.is_fixed_size_list(kind):
            matrices = [field.name for field in schema if pa.types.is_fixed_size_list(field.type)]
            raise ValueError(
                f"column {column!r} of {self.path} is {kind}, not one of its matrices "
                f"({', '.join(matrices) or 'it has none'}): give one of these"
            )
        dtype, shape = np.dtype(kind.value_type.to_pandas_dtype()), (about.num_rows, kind.list_size)
        name = f".{self.path.stem}.{column}."
        path = self.path.with_name(f"{name}{self.digest()[:16]}.npy")
        if not _is_array(path, dtype, shape):
            head = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
            with replacing(path) as temporary, open(temporary, "wb") as file:
                np.lib.format.write_array_header_1_0(file, head)
                for values in self._matrices(column):
                    file.write(np.ascontiguousarray(values).data)
            # Of this column alone: what was mapped before, and what a killed run has left of it.
            made = re.compile(rf"\.?{re.escape(name)}[0-9a-f]{{16}}\.npy(\..*\.npy)?")
            for other in path.parent.iterdir():
                if made.fullmatch(other.name) and path.name not in other.name:
                    other.unlink(missing_ok=True)
        return np.load(path, mmap_mode="r")

    def _matrices(self, column: str) -> Iterator[np.ndarray]:
        with self._intact(), pq.ParquetFile(self.path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(16384, columns=[column]):
                yield to_matrix(pa.chunked_array(batch.columns))

    def _require_inputs(self) -> None:
        recorded = self.metadata()["recipe"]["inputs"]
        for name, value in self.inputs.items():
            now = value if isinstance(value, str) else value.digest()
            if recorded.get(name) != now:
                was = recorded.get(name, "nothing")
                raise StaleArtefactError(
                    f"{self.path} was made from another {name} ({was[:12]}, where {now[:12]} is there now): "
                    f"run {self.made_by or 'what makes it'} again"
                )

    @contextlib.contextmanager
    def _intact(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise DamagedArtefactError(
                f"{self.path} is damaged: delete it and make it again ({error})"
            ) from None

    def _require(self) -> None:
        if not self.path.is_file():
            mend = f": run {self.made_by} with {dict(self.parameters)} first" if self.made_by else ""
            raise FileNotFoundError(f"{self.path} does not exist{mend}")


def _is_array(path: Path, dtype: np.dtype, shape: tuple[int, int]) -> bool:
    """Whether there is a file of just such an array."""
    try:
        array = np.load(path, mmap_mode="r")
        is_whole = path.stat().st_size == array.offset + array.nbytes
        return is_whole and (array.dtype, array.shape) == (dtype, shape)
    except (OSError, EOFError, ValueError):
        return False


@functools.cache
def code_digest(modules: tuple[str, ...]) -> str:
    """Digest of the source of some modules of sss_lib, named as in `sss_lib.<name>`."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update((Path(__file__).parent / f"{module.replace('.', '/')}.py").read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def file_digest(path: Path) -> str:
    """Digest of a file that stays as it is."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@dataclass(frozen=True)
class Frames:
    """Frame embeddings of many clips, one below the other.

    Attributes
    ----------
    fnames : list of str [n_clips]
    values : np.ndarray [shape=(n_total, dim), dtype=float32]
    offsets : np.ndarray [shape=(n_clips + 1,), dtype=int64]
        Clip i owns `values[offsets[i]:offsets[i + 1]]`.
    hop_s : float
        Seconds from one frame to the next; nan where a clip has one embedding.
    """

    fnames: list[str]
    values: np.ndarray
    offsets: np.ndarray
    hop_s: float = float("nan")


def to_table(columns: Mapping[str, object]) -> pa.Table:
    """Arrow table of columns: 1-D arrays as they are, [n, d] as fixed-size lists, `Frames` as lists of those.

    Examples
    --------
    >>> to_table({"fname": ["a", "b"], "embedding": np.zeros((2, 3), np.float32)}).schema.types
    [DataType(string), FixedSizeListType(fixed_size_list<item: float>[3])]
    """
    arrays = {}
    for name, column in columns.items():
        if isinstance(column, Frames):
            arrays[name] = pa.ListArray.from_arrays(column.offsets.astype(np.int32), _matrix(column.values))
        elif isinstance(column, np.ndarray) and column.ndim == 2:
            arrays[name] = _matrix(column)
        else:
            arrays[name] = pa.array(column)
    return pa.table(arrays)


def _matrix(values: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])


def to_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """Array [n, d] of a fixed-size list column.

    Examples
    --------
    >>> to_matrix(to_table({"x": np.array([[1, 2], [3, 4]])})["x"])
    array([[1, 2],
           [3, 4]])
    """
    width = column.type.list_size
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, width)


def to_frames(table: pa.Table) -> Frames:
    """Frame embeddings from a table with the columns fname, frames and hop_s."""
    lists = table["frames"].combine_chunks()
    offsets = lists.offsets.to_numpy().astype(np.int64)
    values = to_matrix(pa.chunked_array([lists.flatten()]))
    return Frames(table["fname"].to_pylist(), values, offsets - offsets[0], table["hop_s"][0].as_py())


_P = ParamSpec("_P")


def _once(
    method: Callable[Concatenate["Store", _P], Artefact],
) -> Callable[Concatenate["Store", _P], Artefact]:
    """Let a method of Store make an artefact once: a grid asks for the same ones thousands of times."""

    @functools.wraps(method)
    def remembering(self: "Store", /, *args: _P.args, **options: _P.kwargs) -> Artefact:
        about = ((name, tuple(o) if isinstance(o, list) else o) for name, o in options.items())
        key = (method.__name__, args, *about)
        if key not in self._made:
            self._made[key] = method(self, *args, **options)
        return self._made[key]

    return remembering


class Store:
    """The tree under a data folder: every path of every artefact is made here, and none is parsed back.

    It remembers what it has handed out: once weights have come or changed, make a new one.

    Parameters
    ----------
    data_dir : str or Path
        The folder that holds, or will hold, datasets/, embeddings/, similarity_rankings/ and so on.
    """

    def __init__(self, data_dir: str | Path):
        self.data_dir = Path(data_dir)
        self._made: dict[tuple, Artefact] = {}

    def dataset(self, dataset: str, **inputs: str) -> Artefact:
        """Clips and labels of a dataset, written by notebook 00."""
        path = self.data_dir / "datasets" / f"{dataset}.parquet"
        modules = ("audio", "containers", "dataset", "verification")
        return Artefact(path, {"dataset": dataset}, inputs, modules, "00_dataset")

    def frames_dir(self, dataset: str, model: str) -> Path:
        """Folder of one model's frame embeddings: part files and failures.csv, written by notebook 01."""
        from sss_lib.models import file_name

        return self.data_dir / "embeddings" / dataset / file_name(model)

    @_once
    def frames(self, dataset: str, model: str) -> Artefact:
        """List of the parts that hold one model's frame embeddings, written by notebook 01."""
        from sss_lib.models import spec

        path = self.frames_dir(dataset, model) / "parts.parquet"
        modules = spec(model).modules
        return Artefact(
            path, spec(model).parameters(), {"dataset": self.dataset(dataset)}, modules, "01_extraction"
        )

    @_once
    def embeddings(self, dataset: str, variant: "Variant") -> Artefact:
        """Clip embeddings of a variant, written by notebook 02."""
        path = self.data_dir / "embeddings" / dataset / f"{variant.name}.parquet"
        inputs = {"frames": self.frames(dataset, variant.model)}
        return Artefact(path, variant.parameters(), inputs, ("processing",), "02_processing")

    @_once
    def fitted(self, dataset: str, variant: "Variant") -> Artefact:
        """What the processing of a variant has fitted on the clips, written by notebook 02."""
        embeddings = self.embeddings(dataset, variant)
        path = embeddings.path.with_name(f"{variant.name}.fitted.parquet")
        return dataclasses.replace(embeddings, path=path)

    def read_fitted(self, dataset: str, variant: "Variant") -> "Processing":
        """Processing of a variant, as fitted on a dataset: to be called with embeddings of new clips."""
        from sss_lib.processing import Processing

        table = self.fitted(dataset, variant).read()
        arrays = dict.fromkeys(("low", "width", "mean", "components"))
        for name in table.schema.names:
            flat = name != "components"
            arrays[name] = table[name].to_numpy() if flat else to_matrix(table[name])
        return Processing(**arrays, normalize=variant.normalize, pre_normalize=variant.pre_normalize)

    @_once
    def ranking(self, dataset: str, variant: "Variant", search: str, *, top_n: int = 150) -> Artefact:
        """Ranking of a variant by one search, written by notebook 03."""
        path = self.data_dir / "similarity_rankings" / dataset / variant.name / f"{search}.parquet"
        parameters = {**variant.parameters(), "search": search, "top_n": top_n}
        inputs = {"embeddings": self.embeddings(dataset, variant)}
        return Artefact(path, parameters, inputs, (*_searching(search), "processing"), "03_search")

    @_once
    def index(self, dataset: str, variant: "Variant", search: str) -> Artefact:
        """Index of an approximate search, for sounds from outside, written by notebook 03."""
        path = self.data_dir / "indexes" / dataset / variant.name / f"{search}.parquet"
        parameters = {**variant.parameters(), "search": search}
        inputs = {"embeddings": self.embeddings(dataset, variant)}
        return Artefact(path, parameters, inputs, (*_searching(search), "processing"), "03_search")

    @_once
    def scores(
        self,
        dataset: str,
        variant: "Variant",
        search: str,
        *,
        cutoffs: Sequence[int] = (15, 150),
        exclude: str | None = "uploader",
    ) -> Artefact:
        """Tidy scores of a variant and search, written by notebook 04."""
        from sss_lib.relevance import ONTOLOGY

        folder = self.data_dir / "evaluation_results" / dataset / variant.name
        ranking = self.ranking(dataset, variant, search, top_n=max(cutoffs))
        parameters = {**ranking.parameters, "cutoffs": list(cutoffs), "exclude": exclude}
        inputs: dict[str, Artefact | str]
        inputs = {"ranking": ranking, "labels": self.dataset(dataset), "classes": file_digest(ONTOLOGY)}
        modules: tuple[str, ...] = ("floors", "measures", "metrics", "processing", "protocols", "queries")
        modules += ("relevance", "resampling", "scoring", *_searching(search), "statistics")
        return Artefact(folder / f"{search}.parquet", parameters, inputs, modules, "04_evaluation")

    def per_query(self, dataset: str, variant: "Variant", search: str, **options: Any) -> Artefact:
        """AP and R1 of every query, beside the scores and with their options, written by notebook 04."""
        scores = self.scores(dataset, variant, search, **options)
        return dataclasses.replace(scores, path=scores.path.with_name(f"{search}.queries.parquet"))

    def comparison(self, dataset: str, grid: "Grid", systems: Iterable[tuple]) -> Artefact:
        """Table of each model's best system among those of a grid, written by notebook 05.

        Parameters
        ----------
        dataset : str
        grid : experiment.Grid
        systems : iterable of (Variant, str)
            The variants and searches of the grid.
        """
        inputs: dict[str, Artefact | str] = {
            f"{variant.name}/{search}": self.scores(dataset, variant, search, cutoffs=grid.cutoffs)
            for variant, search in systems
        }
        of_grid = f"comparison-{grid.name}" if grid.name else "comparison"
        path = self.data_dir / "evaluation_results" / dataset / f"{of_grid}.parquet"
        published = sorted((Path(__file__).parent.parent / "data" / "paper").glob("*.csv"))
        inputs |= {f"published {path.stem}": file_digest(path) for path in published}
        kinds = ("attention", "clap", "clip", "effects", "essentia", "floors", "later")
        modules = tuple(f"models.rows.{kind}" for kind in kinds)
        modules += ("claims", "confusion", "export", "floors", "metrics", "projection", "protocols")
        modules += ("published", "plots.classes", "plots.processing", "plots.searches", "plots.style")
        modules += ("plots.systems", "queries", "relevance", "reports", "resampling", "statistics", "tables")
        modules += ("tradeoffs",)
        return Artefact(path, dataclasses.asdict(grid), inputs, modules, "05_figures")

    def all_scores(self) -> list[Artefact]:
        """Scores of whatever was evaluated, by path; their metadata has what made them."""
        every = (self.data_dir / "evaluation_results").glob("*/*/*.parquet")
        paths = sorted(path for path in every if not path.name.startswith("."))
        return [Artefact(path, {}) for path in paths if not path.name.endswith(".queries.parquet")]

    def leaderboard_path(self) -> Path:
        """Every score that was ever computed: beside the results, so that it outlives them."""
        return self.data_dir / "leaderboard.parquet"

    def ranked(self, dataset: str) -> list[dict]:
        """Parameters of every ranking that exists of a dataset, as the files themselves say."""
        return _parameters_of(self.data_dir / "similarity_rankings" / dataset, "*/*.parquet")

    def evaluated(self, dataset: str) -> list[dict]:
        """Parameters of everything that has been evaluated on a dataset, as the files themselves say."""
        return _parameters_of(self.data_dir / "evaluation_results" / dataset, "*/*.queries.parquet")

    def layout(self, dataset: str, variant: "Variant", how: str) -> Artefact:
        """Places of the clips of a variant on a map of two dimensions, written by notebook 06."""
        path = self.data_dir / "embeddings" / dataset / f"{variant.name}.{how}.parquet"
        parameters = {**variant.parameters(), "layout": how}
        inputs = {"embeddings": self.embeddings(dataset, variant)}
        return Artefact(path, parameters, inputs, ("projection",), "06_listening")

    def judgements(self, dataset: str) -> Path:
        """File that the judgements of listeners are appended to, by notebook 06."""
        return self.data_dir / "judgements" / f"{dataset}.jsonl"

    def runs_dir(self, dataset: str) -> Path:
        """Folder of the executed notebooks."""
        return self.data_dir / "runs" / dataset


def _searching(search: str) -> tuple[str, ...]:
    """Modules that a search is made of."""
    from sss_lib.methods import parse

    exact = ("search", "similarity", "methods")
    return exact if parse(search).is_exact else (*exact, "approximate", "index")


def _parameters_of(folder: Path, pattern: str) -> list[dict]:
    return [Artefact(path, {}).metadata()["recipe"]["parameters"] for path in sorted(folder.glob(pattern))]


def read_json_embeddings(folder: str | Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Frame or clip embeddings in the per-clip JSON form of the CBMI 2024 code.

    Parameters
    ----------
    folder : str or Path
        Holds one {"audio_path": ..., "embeddings": [[...], ...] or [...]} per clip, named {fname}.json.

    Returns
    -------
    fnames : list of str [n_clips]
        In sorted order.
    frames : np.ndarray [shape=(n_total, dim), dtype=float32]
    offsets : np.ndarray [shape=(n_clips + 1,), dtype=int64]

    Raises
    ------
    ValueError
        If there is no such file, or a file's dimension differs from the first one's.
    """
    paths = sorted(path for path in Path(folder).glob("*.json") if not path.name.startswith("."))
    if not paths:
        raise ValueError(f"{folder} holds no .json file: give the folder with one JSON file a clip")
    rows: list = []
    for path in paths:
        try:
            values = np.atleast_2d(np.asarray(json.loads(path.read_text())["embeddings"], np.float32))
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path} has no 'embeddings' that form a table of numbers ({error})") from None
        if rows and values.shape[1:] != rows[0].shape[1:]:
            raise ValueError(
                f"{path} has dimension {values.shape[1]} but {paths[0].name} has {rows[0].shape[1]}: "
                "keep one model's embeddings in a folder"
            )
        rows.append(values)
    offsets = np.concatenate([[0], np.cumsum([len(values) for values in rows])]).astype(np.int64)
    return [path.stem for path in paths], np.concatenate(rows), offsets


def write_json_embeddings(folder: str | Path, frames: Frames, audio_paths: list[str]) -> None:
    """Write one JSON file a clip in the form of the CBMI 2024 code; see `read_json_embeddings`."""
    for i, (fname, audio_path) in enumerate(zip(frames.fnames, audio_paths, strict=True)):
        values = frames.values[frames.offsets[i] : frames.offsets[i + 1]]
        path = Path(folder) / f"{fname}.json"
        if path.parent.resolve() != Path(folder).resolve():
            raise ValueError(f"fname {fname!r} would be written outside {folder}: rename the clip")
        with replacing(path) as temporary:
            embeddings = values if np.isfinite(frames.hop_s) else values[0]  # nan: one embedding a clip
            temporary.write_text(json.dumps({"audio_path": audio_path, "embeddings": embeddings.tolist()}))
