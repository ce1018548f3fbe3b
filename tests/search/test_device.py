"""Exact search filtered by PyTorch equals that of NumPy; PyTorch's processor stands in for a card."""

import sys

import numpy as np
import pytest

from sss_lib import clusters, search
from sss_lib.search import device
from sss_lib.search.similarity import Similarities

torch = pytest.importorskip("torch")
DEVICES = ["cpu:0"]  # a device of PyTorch, where "cpu" is NumPy
DEVICES += ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()


def made_up(kind):
    rng = np.random.default_rng(3)
    few = rng.normal(size=(20, 12))
    return {
        "made up": rng.normal(size=(700, 64)),
        "uncentred": rng.normal(5, 1, (700, 64)),
        "copies": few[np.arange(700) % 20],
        "near copies": few[np.arange(700) % 20] + 1e-7 * rng.normal(size=(700, 12)),
        "faint and loud": rng.normal(size=(700, 12)) * 2.0 ** rng.integers(-90, 1, (700, 1)),
        "silence": np.vstack([np.zeros((350, 12)), rng.normal(size=(350, 12))]),
        "few dimensions": rng.normal(size=(700, 3)),
    }[kind]


KINDS = ["made up", "uncentred", "copies", "near copies", "faint and loud", "silence", "few dimensions"]


@pytest.mark.parametrize("where", DEVICES)
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["nns", "mips", "mcss"])
def test_a_device_changes_no_ranking(name, kind, grouped, where):
    x, rows = made_up(kind), np.arange(0, 700, 3)
    groups = np.arange(700) // 9 if grouped else None
    for top_n in (15, 699):
        here, there = (search.rank(x, name, top_n, rows, groups=groups, device=d) for d in ("cpu", where))
        np.testing.assert_array_equal(there.neighbours, here.neighbours)
        np.testing.assert_array_equal(there.scores, here.scores)


@pytest.mark.parametrize("where", DEVICES)
@pytest.mark.parametrize("before", ["medium", "highest"])
def test_precision_is_the_highest_meanwhile_and_as_before_then(monkeypatch, before, where):
    own, meanwhile = torch.get_float32_matmul_precision(), []

    def top(self, rows, n, plain=device.OnDevice.top):
        meanwhile.append(torch.get_float32_matmul_precision())
        return plain(self, rows, n)

    monkeypatch.setattr(device.OnDevice, "top", top)
    try:
        torch.set_float32_matmul_precision(before)
        search.rank(made_up("made up"), "mcss", 5, device=where)
        assert set(meanwhile) == {"highest"}
        assert torch.get_float32_matmul_precision() == before
    finally:
        torch.set_float32_matmul_precision(own)


@pytest.mark.parametrize("where", DEVICES)
@pytest.mark.parametrize("own", ["autocast", "mkldnn", "cuda"])
@pytest.mark.parametrize("name", ["nns", "mips", "mcss"])
def test_a_precision_that_the_caller_chose_changes_no_ranking_and_is_kept(name, own, where):
    x = made_up("uncentred")[:100]
    here = search.rank(x, name, 15)
    if own == "autocast":  # on the caller's thread, as of few queries
        kind = torch.device(where).type
        with torch.autocast(kind, torch.float16):
            there = search.rank(x, name, 15, device=where)
            assert torch.is_autocast_enabled(kind)
    else:
        matmul = getattr(getattr(torch.backends, own), "matmul", None)
        if not hasattr(matmul, "fp32_precision"):
            pytest.skip("this PyTorch has one setting for all")
        before, matmul.fp32_precision = matmul.fp32_precision, "tf32"
        try:
            there = search.rank(x, name, 15, device=where)
            assert matmul.fp32_precision == "tf32"
        finally:
            matmul.fp32_precision = before
    np.testing.assert_array_equal(there.neighbours, here.neighbours)
    np.testing.assert_array_equal(there.scores, here.scores)


@pytest.mark.parametrize(
    ("n_queries", "card", "chosen"), [(2**25, True, True), (8, True, False), (2**25, False, False)]
)
def test_a_card_is_chosen_by_size(monkeypatch, n_queries, card, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: card)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2**40, 2**40))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(device, "OnDevice", lambda similarities, where: where)
    similarities = Similarities(made_up("made up"), "mcss")
    assert device.on(similarities, "auto", n_queries) == ("cuda" if chosen else similarities)


def test_the_device_of_notebook_03_changes_no_ranking():
    x, fnames = made_up("made up")[:60], [str(i) for i in range(60)]
    found = [
        clusters.rank_all(fnames, x, ["nns", "mcss-ls3"], 9, None, where)[1] for where in ("cpu", "cpu:0")
    ]
    for name in ("nns", "mcss-ls3"):
        here, there = (one[name] for one in found)
        np.testing.assert_array_equal(there.neighbours, here.neighbours)
        np.testing.assert_array_equal(there.scores, here.scores)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "'gpu' is not among the devices of a search"),
        (None, "'None' is not among the devices of a search"),
        ("mps", "device='mps' can't be used"),
        ("cuda:99", "device='cuda:99' can't be used"),
    ],
)
@pytest.mark.parametrize("dim", [3, 9])
def test_a_device_that_is_not_there_is_told(name, message, dim):
    if name == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(ValueError, match=message):
        search.rank(np.eye(9, dim), "nns", 3, device=name)


def test_a_device_without_pytorch_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match=r"device=.cuda. can.t be used .import of torch"):
        search.rank(np.eye(9), "nns", 3, device="cuda")


def test_one_clip_is_told_and_a_device_of_pytorch_is_taken():
    for where in ("cpu", "cpu:0", torch.device("cpu", 0)):
        assert search.rank(np.eye(9), "nns", 3, device=where).neighbours.shape == (9, 3)
        with pytest.raises(ValueError, match=r"a corpus of 1 clip.s. can't be searched"):
            search.rank(np.eye(1, 9), "nns", 3, device=where)


@pytest.mark.parametrize(("has", "n_products"), [(True, 2**36), (True, 2**36 - 1), (False, 2**36)])
def test_bfloat16_is_taken_of_many_products_by_a_processor_made_for_it(monkeypatch, has, n_products):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": has})
    found = device.filter_of(Similarities(np.eye(3), "mcss"), n_products)
    expected = has and n_products >= 2**36 and torch.backends.mkldnn.is_available()
    assert isinstance(found, device.Bfloat16 if expected else device.Float32)


def test_the_last_of_several_callers_puts_back_how_many_threads_there_were():
    torch = pytest.importorskip("torch")
    before, first, second = torch.get_num_threads(), device.one_thread(), device.one_thread()
    try:
        torch.set_num_threads(3)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert torch.get_num_threads() == 1
        second.__exit__(None, None, None)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
