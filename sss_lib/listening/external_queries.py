"""Queries from outside the collection: a sound of the listener's own, or words, ranked by any system."""

import functools
import itertools
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from sss_lib.io import audio
from sss_lib.listening import loudness, shared_models
from sss_lib.listening.shared_models import describe_error, submit
from sss_lib.listening.study import Study, System
from sss_lib.models import registry as models
from sss_lib.models.levels import frame_levels, has_times
from sss_lib.processing.aggregation import aggregate
from sss_lib.search.feedback import refine

MOST_BYTES = 32_000_000
"""Limit of an uploaded file: more than half a minute of 24-bit stereo at 96 kHz."""

MOST_S = 600
"""Limit of the length of a sound: 32 MB may hold two days of silence."""


class Upload:
    """Files that the page sends in pieces, written to a temporary folder under a running number.

    The name that the page gives is never used as a path.

    Parameters
    ----------
    most_bytes : int
        Larger files are refused.
    """

    def __init__(self, most_bytes: int = MOST_BYTES):
        self.most_bytes = most_bytes
        self._content = bytearray()
        self._numbers = itertools.count()

    @functools.cached_property
    def _folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="sss-sound-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def add(self, piece: bytes, at: int, *, last: bool) -> Path | None:
        """Take the next piece, and write the file when the last one has arrived.

        Returns
        -------
        Path or None
            The whole file; None while pieces are missing.

        Raises
        ------
        ValueError
            If the file is too large or empty, or a piece is missing.
        """
        if at == 0:
            self._content.clear()
        if at != len(self._content):
            self._content.clear()
            raise ValueError(f"a piece of the file got lost before byte {at}: send it again")
        if at + len(piece) > self.most_bytes:
            self._content.clear()
            raise ValueError(f"the file is too large: at most {self.most_bytes / 1e6:.0f} MB are accepted")
        self._content += piece
        if not last:
            return None
        if not self._content:
            raise ValueError("the file is empty: give one that holds a sound")
        path = self._folder / str(next(self._numbers))
        path.write_bytes(self._content)
        self._content.clear()
        return path

    def keep(self, path: Path | None) -> None:
        """Delete every file but one."""
        for old in self._folder.iterdir():
            if old != path:
                old.unlink()


def check_sound(path: str | Path, name: str) -> float:
    """Length in seconds of a sound that is to query, of which models hear the first `audio.MAX_DURATION_S`.

    Raises
    ------
    AudioError
        If it can't be decoded, or is silent or too long; the message has its name in place of its path.
    """
    length_s = 0.0
    try:
        for block, rate_hz in audio.blocks(path):
            length_s += len(block) / rate_hz
            if length_s > MOST_S:
                raise audio.AudioError(
                    f"{name} is longer than {MOST_S / 60:g} minutes: cut out what is to be found"
                )
        wave = audio.decode(path, loudness.RATE_HZ)
    except audio.AudioError as error:
        raise audio.AudioError(str(error).replace(str(path), name)) from None
    if not np.isfinite(loudness.integrated(wave)):
        raise audio.AudioError(f"{name} is silent: nothing in it is louder than -70 LUFS")
    return length_s


def load_models(systems: Sequence[System]) -> list[Future]:
    """Begin to load the models of some systems, each in its process, before a sound is to be embedded."""
    return [submit(name, _load, spec) for name, spec in _specs(systems).items() if not spec.is_given]


def load_at_idle(systems: Sequence[System]) -> None:
    """Have the models of some systems loaded where kernels share them, while nobody asks for anything."""
    for name, spec in _specs(systems).items():
        if not spec.is_given:
            shared_models.submit_at_idle(name, _load, spec)


def _specs(systems: Sequence[System]) -> dict[str, models.ModelSpec]:
    return {system.variant.model: models.spec(system.variant.model) for system in systems}


def embed_sound(systems: Sequence[System], path: str | Path) -> dict[str, Future]:
    """Begin to embed an audio file with the models of some systems: frame embeddings to be, by model."""
    return _embed(systems, functools.partial(_embed_file, path=str(Path(path).absolute())))


def query_sound(
    study: Study,
    systems: Sequence[System],
    path: str | Path,
    n: int,
    embedded: Mapping[str, Future] | None = None,
) -> dict[System, list[tuple[int, float]] | str]:
    """First n results of each system for an audio file: rows with scores, or a message why there are none.

    It waits for the embeddings, which may have been begun by `embed_sound`.
    """
    return _rank_all(study, systems, embedded or embed_sound(systems, path), n)


def query_words(
    study: Study, systems: Sequence[System], words: str, n: int
) -> dict[System, list[tuple[int, float]] | str]:
    """First n results for words of each system whose model has a text tower here; see `query_sound`."""
    with_text = [system for system in systems if models.has_text(system.variant.model)]
    embedded = _embed(with_text, functools.partial(_embed_words, words=words))
    found = _rank_all(study, with_text, embedded, n)
    return {system: found.get(system, "This system's model has no text tower here.") for system in systems}


def query_marked(
    study: Study, systems: Sequence[System], hits: Sequence[int], misses: Sequence[int], n: int
) -> dict[System, list[tuple[int, float]] | str]:
    """First n results of each system for several clips at once, and away from others: see `feedback.refine`.

    Parameters
    ----------
    study : Study
    systems : sequence of System
    hits, misses : sequence of int
        Rows of the collection: what results should sound like, and what not. None of them is a result.
    n : int
    """
    found: dict = {}
    for system in systems:
        try:
            found[system] = _refined(study, system, hits, misses, n)
        except Exception as error:  # the other systems still answer
            found[system] = describe_error(error)
    return found


def _refined(
    study: Study, system: System, hits: Sequence[int], misses: Sequence[int], n: int
) -> list[tuple[int, float]]:
    if system.variant.is_ranking:
        raise ValueError(f"{system.title} ranks its own clips alone: it can't take several at once")
    rows = study.rows(system).tolist()
    place = {row: i for i, row in enumerate(rows)}
    right, wrong = ([place[row] for row in marked if row in place] for marked in (hits, misses))
    if not right:
        raise ValueError(f"{system.title} has embedded none of the marked clips")
    x = study.store.embeddings(study.name, system.variant).mapped("embedding")
    scores = refine(x, right[0], right[1:], wrong)
    order = [i for i in np.argsort(-scores, kind="stable").tolist() if i not in {*right, *wrong}]
    return [(rows[i], float(scores[i])) for i in order[:n]]


def _embed(systems: Sequence[System], embed: Callable) -> dict[str, Future]:
    return {name: submit(name, embed, spec) for name, spec in _specs(systems).items()}


def _rank_all(study: Study, systems: Sequence[System], futures: Mapping[str, Future], n: int) -> dict:
    found: dict = {}
    for system in systems:
        try:
            found[system] = _rank(study, system, futures[system.variant.model], n)
        except Exception as error:  # models fail in ways of their own; the other systems still answer
            found[system] = describe_error(error)
    return found


def _rank(study: Study, system: System, embedded: Future, n: int) -> list[tuple[int, float]]:
    frames, levels = embedded.result()
    clip = aggregate(frames, np.array([0, len(frames)]), system.variant.aggregation, levels)
    query = study.store.read_fitted(study.name, system.variant)(clip)
    corpus = study.index(system)
    ranking = corpus.rank(query, n)
    found = zip(ranking.neighbours[0].tolist(), ranking.scores[0].tolist(), strict=True)
    return [(study.row_of[corpus.fnames[row]], score) for row, score in found if row >= 0]


def _embed_file(spec: models.ModelSpec, path: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Frame embeddings of a file, float32 [n_frames, dim], and their levels where their times are known."""
    if spec.is_given:
        how = "ranks its own clips alone" if not spec.loader else "was computed by others"
        raise ValueError(f"{spec.display_name} {how}: no new sound can be embedded here")
    wave = audio.decode(path, spec.rate_hz)
    frames = _extractor(spec)(wave)
    return frames, frame_levels(wave, spec, len(frames)) if has_times(spec) else None


def _embed_words(spec: models.ModelSpec, words: str) -> tuple[np.ndarray, None]:
    """Embedding of words in the space of the sounds, float32 [1, dim], which have no level."""
    embed = models.text_tower(spec)
    if embed is None:
        raise ValueError(f"{spec.name} has no text tower here")
    return np.atleast_2d(np.asarray(embed(words), np.float32)), None


def _load(spec: models.ModelSpec) -> None:
    """Load a model, unless it is, and let it hear something: some build their network then."""
    if spec.name not in _loaded:
        _extractor(spec)(np.zeros(spec.rate_hz, np.float32))


_loaded: dict[str, models.Extractor] = {}


def _extractor(spec: models.ModelSpec) -> models.Extractor:
    if spec.name not in _loaded:
        _loaded[spec.name] = models.load(spec)
    return _loaded[spec.name]
