"""Windows of many clips go through a network together, and nothing in the result tells."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sss_lib import models  # noqa: E402
from sss_lib.models.frontends.batches import BATCH, Batched, windowed  # noqa: E402

SPEC = models.ModelSpec(
    name="mean", display_name="", loader="", rate_hz=10, dim=1, hop_s=0.4, window_s=0.4, modality="",
    objective="", n_parameters="", data_size="", colour="", citation="",
)  # fmt: skip


class Mean(torch.nn.Module):
    """Mean of each input; keeps the shapes that it was given."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def forward(self, x):
        self.shapes.append(tuple(x.shape))
        return x.mean(dim=1, keepdim=True)


def test_windows_of_all_waves_are_embedded_in_full_batches_and_given_back_wave_by_wave():
    batched = Batched(windowed(SPEC, lambda window: window), Mean())
    waves = [np.arange(n, dtype=np.float32) for n in (4, 12, 1, 30)]
    frames = batched.embed(iter(waves))
    assert [len(f) for f in frames] == [1, 3, 1, 8]
    assert frames[1].ravel().tolist() == [1.5, 5.5, 9.5]
    assert frames[3].ravel().tolist() == [1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 27.5]  # the last moved back
    assert batched.network.shapes == [(BATCH["cpu"], 4), (13 - BATCH["cpu"], 4)]


def test_inputs_of_other_shapes_are_embedded_apart_and_stay_in_order():
    batched = Batched(lambda wave: [wave], Mean())
    frames = batched.embed([np.full(n, i, np.float32) for i, n in enumerate((3, 3, 2, 3))])
    assert np.concatenate(frames).ravel().tolist() == [0, 1, 2, 3]
    assert batched.network.shapes == [(2, 3), (1, 2), (1, 3)]


def test_a_network_with_several_frames_an_input_has_them_one_after_the_other():
    batched = Batched(lambda wave: [wave, 10 * wave], torch.nn.Unflatten(1, (-1, 2)))
    (frames,) = batched.embed([np.arange(4, dtype=np.float32)])
    assert frames.tolist() == [[0, 1], [2, 3], [0, 10], [20, 30]]


def test_waves_are_asked_for_when_there_is_room_for_them():
    events = []

    class Telling(Mean):
        def forward(self, x):
            events.append("network")
            return super().forward(x)

    def waves():
        for _ in range(2 * BATCH["cpu"]):
            events.append("wave")
            yield np.ones(4, np.float32)

    Batched(lambda wave: [wave], Telling()).embed(waves())
    assert events.index("network") <= BATCH["cpu"] + 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_and_auto_does_without():
    assert Batched(list, Mean(), "auto").device == "cpu"
    with pytest.raises(ValueError, match="finds no GPU: use 'cpu' or 'auto'"):
        Batched(list, Mean(), "cuda")
    with pytest.raises(ValueError, match="half precision on device 'cpu'"):
        models.load("aisfx+half")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_half_precision_on_a_gpu_is_close_to_single_precision():
    wave = np.random.default_rng(0).normal(0, 0.1, 44100 * 5).astype(np.float32)
    single = models.load("aisfx")(wave)
    on_gpu, half = (models.load(name, "cuda")(wave) for name in ("aisfx", "aisfx+half"))
    np.testing.assert_allclose(on_gpu, single, atol=1e-4 * np.abs(single).max())
    np.testing.assert_allclose(half, single, atol=1e-2 * np.abs(single).max())


@pytest.mark.parametrize(
    ("device", "says"),
    [
        ("mps", "device 'mps', but PyTorch finds no Apple GPU: use 'cpu' or 'auto'"),
        ("cuda:99", r"device 'cuda:99', but PyTorch finds (no GPU|\d+ of these): use 'cpu' or 'auto'"),
        ("gpu", "device 'gpu' is unknown: use 'auto' or one of 'cpu', 'cuda', 'mps'"),
        ("CUDA", "device 'CUDA' is unknown"),
        ("meta", "device 'meta' is unknown"),
        ("", "device '' is unknown"),
        (None, "device None is unknown"),
    ],
)
def test_a_device_that_is_not_there_is_told_in_one_line(device, says, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"{says}[^\n]*$"):
        Batched(list, Mean(), device)


def test_an_apple_gpu_takes_the_batches_of_a_gpu(monkeypatch):
    """No machine here has one: how many inputs it would take at once is all that can be seen."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(Mean, "to", lambda self, device: self)
    network = Batched(lambda wave: [wave], Mean(), "mps")
    sizes = [len(owners) for owners, _ in network._batches([np.ones(4)] * (BATCH["mps"] + 1))]
    assert sizes == [BATCH["mps"], 1]


def test_half_precision_of_a_model_without_a_network_is_refused():
    with pytest.raises(ValueError, match="for networks in PyTorch only"):
        models.load("duration+half")
