"""Whatever writes while the disk is full names the file, its folder and the space, and leaves nothing."""

import contextlib
import dataclasses
import io
import re
import shutil
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import small_study

from sss_lib import dataset, extraction
from sss_lib.experiment.store import Store
from sss_lib.figures import leaderboard, paper, plots, text
from sss_lib.io import archives, download, given_files
from sss_lib.listening import serve
from sss_lib.listening.judgements import Judgements
from sss_lib.search.index import Index

resource = pytest.importorskip("resource")
ROOT = Path(__file__).parents[1]
NAME, VARIANT, SEARCH = small_study.NAME, *next(iter(small_study.SYSTEMS.items()))
X = np.random.default_rng(0).normal(size=(2000, 8)).astype(np.float32)
FNAMES = [f"c{i}" for i in range(len(X))]


@contextlib.contextmanager
def full_disk(n_bytes=50):
    """A limit of the size of files stands for it: what is written beyond fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def store(small_store, tmp_path, monkeypatch):
    """A copy of the small study."""
    monkeypatch.setattr("sys.stderr", io.StringIO())  # that of pytest is a file
    shutil.copytree(small_store.data_dir, tmp_path / "data")
    return Store(tmp_path / "data")


def write_dataset(store):
    clips = dataset.read(store.dataset(NAME))
    report = dataset.verify(clips)
    with full_disk():
        dataset.write(store.dataset(NAME), clips, report)


def extract(store, gone, n_bytes):
    clips, folder = dataset.read(store.dataset(NAME)), store.frames_dir(NAME, "logmel")
    extraction.extract(clips, "logmel", store.data_dir.parent / "first")  # whatever else that writes, once
    for path in folder.glob(gone):
        path.unlink()
    with full_disk(n_bytes):
        extraction.extract(clips, "logmel", folder, artefact=store.frames(NAME, "logmel"))


def columns(artefact):
    with full_disk():
        artefact.write({"fname": FNAMES, "values": X})


def save_figure(store):
    figure, _ = plt.subplots()
    with full_disk():
        try:
            plots.save(figure, store.figures_dir("x"), "x", "A caption.")
        finally:
            plt.close(figure)


def save_table(store, suffix):
    with full_disk():
        text.write(pd.DataFrame({"a": FNAMES}), store.figures_dir("x") / f"x{suffix}", caption="A caption.")


def write_run(store):
    clips = dataset.read(store.dataset(NAME))
    timed = dataclasses.replace(clips, clips=clips.clips.assign(duration_s=1.0))
    about = {"grid": "g", "protocol": "standard", "cutoffs": (3,)}
    with full_disk():
        paper.write_run(store.figures_dir("x") / "run.json", timed, timed, **about)


def build_paper(store, n_bytes):
    with full_disk(n_bytes):
        paper.build(ROOT / "figures" / "mini", store.data_dir / "paper", ["poster"])


def unpack(store):
    archive = shutil.make_archive(str(store.data_dir / "a"), "zip", store.data_dir / NAME)
    with full_disk():
        archives.unpack([Path(archive)], store.data_dir / "unpacked", progress=False)


def limited(write):
    with full_disk():
        write()


@pytest.mark.parametrize(
    ("write", "file"),
    [
        (write_dataset, "tiny.parquet"),  # 00
        (lambda store: extract(store, "part*", 3000), "part-00000.parquet"),  # 01
        (lambda store: extract(store, "failures.csv", 50), "failures.csv"),
        (lambda store: columns(store.frames(NAME, "logmel")), "parts.parquet"),
        (lambda store: columns(store.embeddings(NAME, VARIANT)), f"{VARIANT.name}.parquet"),  # 02
        (lambda store: columns(store.fitted(NAME, VARIANT)), f"{VARIANT.name}.fitted.parquet"),
        (lambda store: columns(store.ranking(NAME, VARIANT, SEARCH)), "nns.parquet"),  # 03
        (
            lambda store: limited(
                lambda: Index.build(FNAMES, X, "nns-Flat").write(store.index(NAME, VARIANT, "nns-Flat"))
            ),
            "nns-Flat.parquet",
        ),
        (lambda store: columns(store.scores(NAME, VARIANT, SEARCH)), "nns.parquet"),  # 04
        (lambda store: columns(store.per_query(NAME, VARIANT, SEARCH)), "nns.queries.parquet"),
        (save_figure, "x.svg"),  # 05
        (lambda store: save_table(store, ".csv"), "x.csv"),
        (lambda store: save_table(store, ".tex"), "x.tex"),
        (write_run, "run.json"),
        (lambda store: limited(lambda: leaderboard.collect(store)), "leaderboard.parquet"),
        (lambda store: build_paper(store, 300_000), "best.csv"),  # among the sources, in a temporary folder
        (lambda store: columns(store.layout(NAME, VARIANT, "pca")), f"{VARIANT.name}.pca.parquet"),  # 06
        (lambda store: limited(lambda: serve.prepare(store, "x")), "x.ipynb"),
        (
            lambda store: limited(lambda: Judgements(store.judgements("x")).grade("a", "q", "c" * 99, 1)),
            "x.jsonl",
        ),
        (
            lambda store: limited(lambda: download.write_json(store.data_dir / "a.json", {"a": "b" * 99})),
            "a.json",
        ),
        (unpack, "unpacked"),
        (lambda store: limited(lambda: given_files.Kept(Path("x.npz")).add("a", X)), "x.npz"),
    ],
)
def test_a_full_disk_is_named_with_the_file_and_its_folder(store, write, file):
    before = {path for path in store.data_dir.rglob("*") if path.is_file()}
    room = rf"the disk is full: {re.escape(tempfile.gettempdir())}.* has no room for {re.escape(file)}"
    with pytest.raises(OSError, match=room):
        write(store)
    left = {path for path in store.data_dir.rglob("*") if path.is_file()} - before
    assert [path.name for path in left if not path.name.endswith((".lock", ".zip"))] in ([], ["x.jsonl"])
