"""Work on Dask workers gives what it gives here, and a killed worker costs its own task."""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import soundfile

distributed = pytest.importorskip("distributed")

import psutil  # noqa: E402

from sss_lib import __main__ as command  # noqa: E402
from sss_lib import (  # noqa: E402
    clusters,
    dataset,
    index,
    metrics,
    models,
    processing,
    relevance,
    search,
)
from sss_lib.evaluation.relevance import Relevance  # noqa: E402
from sss_lib.experiment.grid import Variant  # noqa: E402
from sss_lib.experiment.store import Artefact, Store, to_matrix  # noqa: E402
from sss_lib.extraction import cluster, extraction  # noqa: E402
from sss_lib.models.catalogue import CATALOGUE  # noqa: E402

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "notebooks" / "README.md").read_text()


@pytest.fixture(scope="module")
def client():
    """Of a cluster of two processes on this machine, which leaves none behind."""
    before = set(psutil.Process().children())
    with clusters.connect("local", n_workers=2) as found:
        yield found
    left = [one for one in psutil.Process().children() if one not in before]
    left = [one for one in left if "resource_tracker" not in " ".join(one.cmdline())]
    assert psutil.wait_procs(left, timeout=10)[1] == []


@pytest.fixture
def sounds(tmp_path):
    """Ten clips of 1 to 10 ms at 8 kHz, the fourth broken; groups of two and parts of six."""
    (tmp_path / "ten" / "audio").mkdir(parents=True)
    for i in range(10):
        wave = np.random.default_rng(i).uniform(-0.5, 0.5, 8 * (i + 1))
        soundfile.write(tmp_path / "ten" / "audio" / f"{i}.wav", wave, 8000)
    (tmp_path / "ten" / "audio" / "3.wav").write_text("not sound")
    return dataset.load(tmp_path / "ten")


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(extraction, "PART_CLIPS", 6)
    monkeypatch.setattr(extraction, "GROUP_CLIPS", 2)


def digests(folder):
    return Artefact(folder / "parts.parquet", {}).read()["digest"].to_pylist()


@pytest.mark.parametrize("model", ["duration", "logmel"])
def test_extraction_on_a_cluster_equals_that_in_this_process(client, sounds, small_parts, tmp_path, model):
    here = extraction.extract(sounds, model, tmp_path / "here")
    there = extraction.extract(sounds, model, tmp_path / "there", cluster=client.scheduler.address)
    assert str(here) == str(there)
    pd.testing.assert_frame_equal(here.failures, there.failures)
    assert len(there.failures) == 1
    assert digests(tmp_path / "here") == digests(tmp_path / "there")


@pytest.fixture
def halting(tmp_path):
    """Name of a model that notes each clip and its process, and waits in the first until it may go on."""
    notes, go = tmp_path / "notes", tmp_path / "go"
    notes.mkdir()

    def network(wave):
        with open(notes / str(os.getpid()), "a") as file:
            file.write(f"{len(wave)}\n")
        while not go.exists():
            time.sleep(0.01)
        return [[len(wave)]]

    models.register("halting", network, rate_hz=8000, dim=1)
    yield "halting"
    del CATALOGUE["halting"]


def kill_when_two_are_at_work(tmp_path, killed):
    """Kill what `killed` makes of a process at work once two are, let all go on, and tell which it was."""
    told = Future()

    def run():
        try:
            while len(found := [f for f in (tmp_path / "notes").iterdir() if f.stat().st_size]) < 2:
                time.sleep(0.01)
            pid = int(found[0].name)
            killed(psutil.Process(pid)).kill()
            told.set_result(pid)
        except Exception as error:
            told.set_exception(error)
        finally:
            (tmp_path / "go").touch()

    threading.Thread(target=run).start()
    return told


@pytest.mark.parametrize("who", ["process of the model", "worker", "local process"])
def test_what_is_killed_at_work_costs_its_own_task_alone(client, sounds, small_parts, halting, tmp_path, who):
    cluster = None if who == "local process" else client.scheduler.address
    workers = set(client.run(os.getpid).values())
    told = kill_when_two_are_at_work(tmp_path, psutil.Process.parent if who == "worker" else lambda one: one)
    report = extraction.extract(sounds, halting, tmp_path / "out", n_jobs=2, cluster=cluster)
    pid = told.result()
    computed = {
        int(path.name): list(map(int, path.read_text().split())) for path in (tmp_path / "notes").iterdir()
    }
    lost = computed.pop(pid)
    assert sorted(n for of_one in computed.values() for n in of_one) == [
        8 * i for i in range(1, 11) if i != 4
    ]
    assert 1 <= len(lost) <= extraction.GROUP_CLIPS
    assert (report.n_clips, report.n_new, report.failures["fname"].tolist()) == (9, 9, ["3"])
    found = extraction.read(Artefact(tmp_path / "out" / "parts.parquet", {}))
    assert found.fnames == [str(i) for i in range(10) if i != 3]
    assert np.ravel(found.values).tolist() == [8 * i for i in range(1, 11) if i != 4]
    if who == "worker":
        client.wait_for_workers(2, timeout=30)
        assert len(workers & set(client.run(os.getpid).values())) == 1


def test_torch_and_tensorflow_share_no_process_of_a_worker(client, mini, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("essentia")
    few = mini.select(mini.clips["fname"].tolist()[:3])
    for model in ("aisfx", "msd-musicnn", "aisfx"):
        address = client.scheduler.address
        assert extraction.extract(few, model, tmp_path / model, cluster=address).failures.empty
        extraction.extract(few, model, tmp_path / "here" / model)
        assert digests(tmp_path / model) == digests(tmp_path / "here" / model)


def test_a_worker_with_other_code_is_refused(client, sounds, tmp_path, monkeypatch):
    monkeypatch.setattr("sss_lib.extraction.extraction.code_digest", lambda modules: "newer")
    with pytest.raises(ValueError, match="and the client's newer: give both the same sss_lib"):
        extraction.extract(sounds, "duration", tmp_path / "out", cluster=client.scheduler.address)


@pytest.mark.parametrize("how", list(search.SEARCHES))
def test_a_ranking_by_a_cluster_equals_that_of_this_process_bit_for_bit(client, how):
    x = np.random.default_rng(0).normal(size=(900, 7)).astype(np.float32)
    x[100:200] = x[300:400]
    groups = np.arange(900) // 3
    rows = np.random.default_rng(1).permutation(900)[:700]
    for ways in ({}, {"queries": rows}, {"queries": []}, {"groups": groups}):
        there = clusters.rank(x, how, 20, client=client, **ways)
        here = search.rank(x, how, 20, **ways)
        np.testing.assert_array_equal(there.neighbours, here.neighbours)
        np.testing.assert_array_equal(there.scores, here.scores)


@pytest.fixture(scope="module")
def labelled():
    """Embeddings of 2,000 clips, some of them equal, and their labels: 30 classes, some of a clip or none."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 8)).astype(np.float32)
    x[100:200] = x[300:400]
    has_label = rng.random((2000, 30)) < np.linspace(0, 0.1, 30)
    return x, scipy.sparse.csr_array(has_label), [f"class {i}" for i in range(30)]


def require_equal(ours, theirs):
    """But for the last bit of sums, which may depend on how many queries are at a time."""
    assert type(ours) is type(theirs)
    for one in fields(ours):
        a, b = getattr(ours, one.name), getattr(theirs, one.name)
        if isinstance(a, dict):
            assert a.keys() == b.keys()
            np.testing.assert_allclose(list(b.values()), list(a.values()), rtol=1e-14)
        else:
            np.testing.assert_array_equal(b, a)


@pytest.mark.parametrize("kind", ["class", "graded", "without uploader"])
def test_an_evaluation_by_a_cluster_equals_that_of_this_process(client, labelled, kind):
    x, label_matrix, labels = labelled
    rules = {
        "class": relevance.define("class"),
        "graded": Relevance("graded", np.arange(30) % 4),
        "without uploader": relevance.define("class", exclude=pd.Series(np.arange(2000) // 3)),
    }
    ways = {"search": "mcss", "cutoffs": (5, 20), "relevant": rules[kind]}
    here = metrics.per_query(x, label_matrix, **ways)
    there = clusters.per_query(x, label_matrix, client=client, **ways)
    for ours, theirs in zip(here, there, strict=True):
        assert ours.query.size > 1000
        require_equal(ours, theirs)
    scores = [metrics.summarise(*one, labels) for one in (there, here)]
    pd.testing.assert_frame_equal(*scores, rtol=1e-13)


@pytest.mark.parametrize("how", ["nns", "nns-ivf16-probe2"])
def test_notebook_03_and_04_give_their_work_to_a_cluster_and_get_the_same(client, labelled, how):
    pytest.importorskip("faiss")
    x, label_matrix, _ = labelled
    fnames = [str(i) for i in range(len(x))]
    _, there, cost = clusters.rank_members(fnames, x, how, 20, client=client)
    _, here, _ = index.rank_members(fnames, x, how, 20)
    np.testing.assert_array_equal(there.neighbours, here.neighbours)
    np.testing.assert_array_equal(there.scores, here.scores)
    assert cost.query_ms > 0
    ways = {"search": how, "cutoffs": (5, 20)}
    for ranking in (None, here):
        ours = clusters.per_query(x, label_matrix, ranking=ranking, **ways)
        theirs = clusters.per_query(x, label_matrix, ranking=ranking, client=client, **ways)
        for a, b in zip(ours, theirs, strict=True):
            require_equal(a, b)
    few = search.Ranking(here.neighbours[:300], here.scores[:300])
    with pytest.raises(ValueError, match="a ranking of 300 queries is not of all 2000 clips"):
        clusters.per_query(x, label_matrix, client=client, ranking=few, **ways)


@pytest.mark.parametrize("n_killed", [1, 2])
def test_workers_that_are_killed_while_they_search_change_nothing(client, n_killed):
    """Of two; with both, what was sent to them is gone too, and sent again."""
    x = np.random.default_rng(0).normal(size=(12_000, 16)).astype(np.float32)
    killed = []

    def kill():
        while not any(client.processing().values()):
            time.sleep(0.01)
        killed.extend(list(client.run(os.getpid).values())[:n_killed])
        for pid in killed:
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    there = clusters.rank(x, top_n=10, client=client)
    killer.join()
    client.wait_for_workers(2, timeout=60)
    assert len(killed) == n_killed
    assert not set(killed) & set(client.run(os.getpid).values())
    np.testing.assert_array_equal(there.neighbours, search.rank(x, top_n=10).neighbours)


def test_a_query_that_is_no_clip_is_refused_before_a_worker_has_it():
    with pytest.raises(ValueError, match="query -1 is none of the 3 clips"):
        clusters.rank(np.eye(3), queries=[0, -1], client=None)


def test_a_mistake_on_a_worker_comes_back(client):
    with pytest.raises(ValueError, match="'near' is unknown"):
        clusters.rank(np.eye(3), "near", client=client)


def test_few_results_are_under_way_and_what_is_left_is_cancelled():
    taken, futures = [], []

    def submit(item):
        futures.append(Future())
        futures[-1].item = item
        if item == 3:  # this one and those before are answered, the last first
            for future in reversed(futures):
                future.set_result(future.item)
        return futures[-1]

    results = clusters.in_order(submit, (taken.append(i) or i for i in range(100)), 3)
    assert next(results) == 0
    assert taken == [0, 1, 2, 3]
    assert [next(results) for _ in range(3)] == [1, 2, 3]
    assert taken == [0, 1, 2, 3, 4, 5, 6]
    results.close()
    assert [future.cancelled() for future in futures] == 4 * [False] + 3 * [True]


def test_a_cluster_that_is_not_there_is_told_with_the_mend(monkeypatch):
    monkeypatch.setattr(cluster, "WAIT_S", 1)
    with (
        pytest.raises(ValueError, match="'locl' is neither 'local' nor an address"),
        clusters.connect("locl"),
    ):
        pass
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ValueError, match="start one with dask scheduler"), clusters.connect(address):
        pass


def test_two_clusters_of_one_machine_do_not_get_in_each_others_way(client):
    with clusters.connect("local", n_workers=1) as other:
        assert other.submit(os.getpid).result() not in client.run(os.getpid).values()


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install -e \.\[scale\]"), clusters.connect("local"):
        pass


def line_of_manual(begin):
    """Return the words of the command of the manual that begins so, without its comment."""
    found = [line for line in MANUAL.splitlines() if line.startswith(begin)]
    assert len(found) == 1
    return shlex.split(found[0], comments=True)


@pytest.fixture
def command_lines(tmp_path):
    """Address of a scheduler with two workers, started by the commands of the manual, on a free port."""
    bin_dir, ours = Path(sys.executable).parent, {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with contextlib.ExitStack() as stack:

        def start(begin, *more, **replaced):
            words = [replaced.get(word, word) for word in line_of_manual(f".venv/bin/{begin}")]
            words[0] = str(bin_dir / "dask")
            ways = {"env": ours, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
            process = stack.enter_context(subprocess.Popen([*words, *more], **ways))
            stack.callback(process.terminate)

        about = tmp_path / "scheduler.json"
        anywhere = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"]
        anywhere += ["--scheduler-file", str(about)]
        start("dask scheduler", *anywhere)
        while not about.exists() or not about.read_text():
            time.sleep(0.05)
        address = json.loads(about.read_text())["address"]
        start("dask worker", "--no-dashboard", **{"tcp://127.0.0.1:8786": address, "-1": "2"})
        yield address


def test_a_grid_on_a_cluster_of_command_lines_survives_the_kill_of_a_worker(
    command_lines, collection, tmp_path
):
    """Every notebook ends well and ranks as the library does here; without labels there are fewer."""
    for table in ("ground_truth.csv", "classes.csv"):
        (collection / table).unlink()
    (tmp_path / "grid.yaml").write_text("models: [logmel]\nn_components: [null, 2]\ncutoffs: [3]")
    store, log = Store(tmp_path / "data"), tmp_path / "data" / "runs" / "tiny" / "log.jsonl"
    killed = []

    def kill():
        while not log.exists() or "01_extraction" not in log.read_text():
            time.sleep(0.05)
        with clusters.connect(command_lines) as client:
            kernels = []
            while not kernels:
                workers = map(psutil.Process, client.run(os.getpid).values())
                kernels = [
                    one
                    for one in workers
                    if any("ipykernel" in " ".join(c.cmdline()) for c in one.children())
                ]
            killed.extend(kernels[0].children())
            kernels[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    folders = ["--data-dir", str(store.data_dir), "--figures-dir", str(tmp_path / "figures")]
    words = ["run", str(tmp_path / "grid.yaml"), "--dataset", str(collection), "--cluster", command_lines]
    assert command.main([*words, *folders]) == 0
    killer.join()
    assert killed
    assert psutil.wait_procs(killed, timeout=30)[1] == []
    ended = [json.loads(line) for line in log.read_text().splitlines() if line]
    assert len(ended) == 6
    assert not any(entry["error"] for entry in ended)
    extraction.extract(dataset.load(collection), "logmel", tmp_path / "here")
    frames = extraction.read(Artefact(tmp_path / "here" / "parts.parquet", {}))
    for n_components in (None, 2):
        x = processing.process(frames.values, n_components)
        stored = store.ranking("tiny", Variant("logmel", "none", n_components), "nns", top_n=3).read()
        np.testing.assert_array_equal(to_matrix(stored["neighbours"]), search.rank(x, top_n=3).neighbours)


def test_make_hands_the_cluster_of_the_readme_on():
    words = line_of_manual("make run CLUSTER=tcp")
    said = subprocess.run([words[0], "-n", *words[1:]], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "--cluster tcp://127.0.0.1:8786" in said.stdout
