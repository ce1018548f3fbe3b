"""Workers of one thread each: what each library would use, read from within the worker at work."""

import os

import numpy as np
import pytest

from sss_lib import dataset, models
from sss_lib.experiment import n_cores
from sss_lib.experiment.store import Artefact
from sss_lib.extraction import embedding, extraction, parts
from sss_lib.models.catalogue import CATALOGUE


def threads_and_process(wave):
    """Threads of PyTorch and the most of any other library, and the process, of which a part counts."""
    import threadpoolctl
    import torch

    product = torch.ones(300, 300) @ torch.ones(300, 300)
    pools = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
    assert pools
    assert product[0, 0] == 300
    return [[torch.get_num_threads(), max(pools), os.getpid() % 2**20]]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_workers_never_have_more_threads_than_there_are_cores(collection, tmp_path, monkeypatch, n_jobs):
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(4)  # as on a larger machine
    assert torch.get_num_threads() == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setattr(embedding, "GROUP_CLIPS", 1)
    models.register("threads", threads_and_process, rate_hz=8000, dim=3)
    report = extraction.extract(dataset.load(collection), "threads", tmp_path / "out", n_jobs)
    torch.set_num_threads(before)
    del CATALOGUE["threads"]
    assert not len(report.failures), report.failures["reason"][0]
    values = parts.read(Artefact(tmp_path / "out" / "parts.parquet", {})).values
    n_workers, n_threads = len(np.unique(values[:, 2])), int(values[:, :2].max())
    assert n_threads == 1
    assert n_workers * n_threads <= max(n_jobs, n_cores())
    assert (os.getpid() % 2**20 in values[:, 2]) is (n_jobs == 1)
