"""What of the library makes an artefact: a change of it is noticed, a change of words or places is not."""

import itertools
import os
import re
import shutil
from pathlib import Path

import pytest

import sss_lib
from sss_lib.experiment import Grid, Store, Variant
from sss_lib.io import code
from sss_lib.io.code import code_digest

LIBRARY = Path(sss_lib.__file__).parent
AFTER_02 = {"02_processing", "03_search", "04_evaluation", "05_figures"}


@pytest.fixture
def copied(tmp_path):
    """Return a function that copies the library, with some files edited by a function of their text."""
    numbers = itertools.count()

    def copy(edit=None, pattern="**/*.py"):
        library = shutil.copytree(
            LIBRARY, tmp_path / str(next(numbers)), ignore=shutil.ignore_patterns("__pycache__")
        )
        paths = list(library.glob(pattern)) if edit else []
        assert paths or not edit, pattern
        for path in paths:
            before = path.read_text(encoding="utf-8")
            path.write_text(edit(before), encoding="utf-8")
        return library

    return copy


def digests(library, data_dir):
    """Digests of the code of every stage, and of the frames of two models, in a copy of the library."""
    store, variant = Store(data_dir), Variant("logmel")
    artefacts = {
        "00_dataset": store.dataset("tiny"),
        "logmel": store.frames("tiny", "logmel"),
        "vggish": store.frames("tiny", "vggish"),
        "02_processing": store.embeddings("tiny", variant),
        "03_search": store.ranking("tiny", variant, "nns"),
        "04_evaluation": store.scores("tiny", variant, "nns"),
        "05_figures": store.comparison("tiny", Grid(("logmel",)), []),
        "06_listening": store.layout("tiny", variant, "pca"),
    }
    return {name: code_digest(artefact.code, library) for name, artefact in artefacts.items()}


@pytest.fixture
def changed(copied, tmp_path):
    """Return a function from an edit to the names of what it makes stale."""
    before = digests(copied(), tmp_path)

    def of(edit, pattern="**/*.py"):
        after = digests(copied(edit, pattern), tmp_path)
        return {name for name in before if before[name] != after[name]}

    return of


def with_another_line(text):
    return text + "\nANOTHER = 1\n"


def test_other_docstrings_and_comments_make_nothing_stale(changed):
    def reworded(text):
        text = re.sub(r'^( *)"""(?=[A-Z])', r'\1"""In other words. ', text, flags=re.MULTILINE)
        return "# A comment.\n" + text.replace("\n\n", "\n\n\n")

    assert "In other words. Embeddings" in reworded('    """Embeddings."""')
    assert changed(reworded) == set()


@pytest.mark.parametrize(
    ("path", "stale"),
    [
        ("figures/tables.py", {"05_figures"}),
        ("figures/plots/style.py", {"05_figures"}),
        ("models/catalogue/clap.py", {"05_figures"}),
        ("evaluation/measures.py", {"04_evaluation", "05_figures"}),
        ("search/exact.py", {"03_search", "04_evaluation", "05_figures"}),
        ("processing/fitting.py", AFTER_02 - {"03_search", "04_evaluation"}),
        ("processing/checks.py", AFTER_02 | {"06_listening"}),
        ("extraction/extraction.py", {"logmel", "vggish", "05_figures"}),
        ("io/audio.py", {"00_dataset", "logmel", "vggish", "05_figures"}),
        ("listening/board.py", set()),
        ("experiment/runner.py", set()),
    ],
)
def test_a_changed_line_makes_its_stage_and_later_ones_stale(changed, path, stale):
    """What is between reads what was written before: its digest is among the inputs of an artefact."""
    assert changed(with_another_line, path) == stale


def test_a_changed_line_of_a_loader_makes_the_frames_of_its_models_stale(changed):
    assert changed(with_another_line, "models/loaders/descriptors.py") == {"logmel"}
    assert changed(with_another_line, "models/loaders/essentia_graphs.py") == {"vggish"}
    assert changed(with_another_line, "models/loaders/cnn14.py") == set()
    found = changed(with_another_line, "models/frontends/spectrogram.py")
    assert found == {"logmel", "vggish", "05_figures"}  # figures draw spectrograms, too


def test_a_changed_line_within_a_function_is_noticed(changed):
    def lower(text):
        assert "len(x) - 1)" in text
        return text.replace("len(x) - 1)", "len(x) - 2)")

    assert changed(lower, "search/rank.py") == {"03_search", "04_evaluation", "05_figures"}


def test_a_moved_file_makes_nothing_stale(copied):
    library = copied()
    before = code_digest(("processing",), library)
    moved = copied()
    (moved / "processing" / "inner").mkdir()
    (moved / "processing" / "projection.py").rename(moved / "processing" / "inner" / "projection.py")
    assert code_digest(("processing",), moved) == before


def library_of(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_imports_within_functions_count_and_those_for_types_do_not(tmp_path):
    user = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sss_lib import kind\n"
    user += "def f():\n    from sss_lib.late import g\n"
    found = []
    for i, changes in enumerate([{}, {"kind": "x = 2"}, {"late": "g = 2"}]):
        (tmp_path / str(i)).mkdir()
        library = library_of(tmp_path / str(i), **{"user": user, "kind": "x = 1", "late": "g = 1"} | changes)
        found.append(code_digest(("user",), library))
    assert found[0] == found[1] != found[2]


def test_code_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="has no package or module 'serach': name one that it has"):
        code_digest(("serach",))


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """File in which digests are kept; nothing is kept yet, and each call is as of another process."""

    def forget():
        code._kept.cache_clear()
        code._read.cache_clear()
        code_digest.cache_clear()

    monkeypatch.setattr(code, "_path", lambda: tmp_path / "kept.json")
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    forget()
    yield tmp_path / "kept.json", forget
    forget()


def test_a_file_that_was_parsed_by_an_earlier_process_is_not_parsed_again(kept, monkeypatch):
    path, forget = kept
    parsed = code_digest(("search",))
    assert path.is_file()
    forget()
    monkeypatch.setattr("ast.parse", None)
    assert code_digest(("search",)) == parsed


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-9], lambda b: b.replace(b"a", b"b")])
def test_kept_digests_that_are_damaged_are_found_anew(kept, damage):
    path, forget = kept
    parsed = code_digest(("search",))
    path.write_bytes(damage(path.read_bytes()))
    forget()
    assert code_digest(("search",)) == parsed


def test_kept_digests_may_lie_where_nothing_can_be_written(kept, monkeypatch):
    monkeypatch.setattr(code, "_path", lambda: kept[0] / "kept.json")
    kept[0].touch()
    assert code_digest(("search",))


def test_a_changed_file_is_noticed_although_its_size_and_time_are_kept(kept, tmp_path):
    path = library_of(tmp_path, user="x = 1") / "user.py"
    before, status = code_digest(("user",), tmp_path), path.stat()
    path.write_text("x = 2")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    kept[1]()
    assert code_digest(("user",), tmp_path) != before
