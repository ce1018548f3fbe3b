"""How near the embedded networks are to what the processor can do, as a table in Markdown.

    python tests/benchmarks/networks.py

Seconds of audio per second of one thread's processor time, of clips of data/mini: decoding left out, and the
network alone, fed as in an extraction. Beside it the bound of the network's multiplications at the speed of a
matrix product of this run, how much of the time the front end takes, and ONNX Runtime on one batch of the
same network where it is installed (with onnx and onnxscript), with the largest difference over the largest
value. EfficientAT has stand-ins for weights, if its own are not there. Essentia's graphs are not counted.
"""

import copy
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import threadpoolctl
import torch
from torch.utils.flop_counter import FlopCounterMode

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent / "data" / "models")]

import stand_ins  # noqa: E402
from adjusted import seconds  # noqa: E402

from sss_lib import audio, dataset, models  # noqa: E402
from sss_lib.extraction.embedding import GROUP_CLIPS  # noqa: E402
from sss_lib.models.catalogue import CATALOGUE  # noqa: E402
from sss_lib.models.frontends.batches import Batched  # noqa: E402
from sss_lib.models.loaders import aisfx, essentia_graphs, soundnet  # noqa: E402
from sss_lib.models.weights import checkpoint  # noqa: E402

NAMES = ["aisfx", "yamnet", "soundnet", "efficientat-mn04", "msd-musicnn"]
PUBLISHED = {"aisfx": aisfx.Network, "soundnet": soundnet.Network}
"""Of models whose network on a processor multiplies less or more than is counted."""
STEP = 3
ROUNDS = 4


def peak() -> float:
    """Operations a second in a matrix product."""
    x = torch.randn(2048, 2048)
    return 2 * 2048**3 / seconds(lambda: x @ x, ROUNDS)


def loaded(name: str) -> models.Extractor:
    """The model, with weights of its form where there are none."""
    row = CATALOGUE[name]
    try:
        return models.load(name)
    except FileNotFoundError:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["SSS_CACHE"] = folder
            stand_ins.write(row, Path(folder))
            CATALOGUE[name] = replace(row, weights=replace(row.weights, sha256=None, n_bytes=None))
            return models.load(name)


def beside_onnx(network: torch.nn.Module, batch: torch.Tensor, ours: float) -> str:
    """How many times as fast ONNX Runtime is, and the largest difference."""
    if not all(map(importlib.util.find_spec, ("onnx", "onnxruntime", "onnxscript"))):
        return "-"
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/network.onnx"
        torch.onnx.export(copy.deepcopy(network), (batch,), path, dynamo=False, input_names=["x"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"x": batch.numpy()})
        took = seconds(lambda: session.run(None, {"x": batch.numpy()}), ROUNDS)
    with torch.inference_mode():
        expected = network(batch).numpy()
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    return f"{ours / took:.1f} x ({difference:.0e})"


def row_of(name: str, sounds: dataset.Dataset) -> str:
    """A row of the table."""
    batches: list[np.ndarray] = []
    inside = [0.0]

    def timed(function: Callable) -> Callable:
        def timing(*args: object) -> object:
            begin = time.process_time()
            result = function(*args)
            inside[0] += time.process_time() - begin
            batches.append(args[-1])
            return result

        return timing

    run, graph = Batched._run, essentia_graphs.graph
    Batched._run = timed(run)
    essentia_graphs.graph = lambda *args, **options: timed(graph(*args, **options))
    extractor = loaded(name)
    waves = [audio.decode(path, extractor.spec.rate_hz) for path in sounds.clips["path"]]
    audio_s = sum(map(len, waves)) / extractor.spec.rate_hz
    groups = [waves[start : start + GROUP_CLIPS] for start in range(0, len(waves), GROUP_CLIPS)]
    extractor.embed(groups[0])
    took = []
    for _ in range(2):
        inside[0], begin = 0.0, time.process_time()
        batches.clear()
        for group in groups:
            extractor.embed(group)
        took.append((time.process_time() - begin, inside[0]))
    Batched._run, essentia_graphs.graph = run, graph
    whole, network_s = min(took)
    bound = onnx = "-"
    if isinstance(extractor.network, Batched):
        network = extractor.network.network
        plain = network
        if name in PUBLISHED:
            plain = checkpoint.load_published(extractor.spec, PUBLISHED[name]).eval()
        with torch.inference_mode(), FlopCounterMode(display=False) as counted:
            for batch in batches:
                plain(torch.from_numpy(batch))
        bound = f"{audio_s / (counted.get_total_flops() / peak()):.0f}"
        one = torch.from_numpy(max(batches, key=len))
        with torch.inference_mode():
            ours = seconds(lambda: network(one), ROUNDS)
        onnx = beside_onnx(plain, one, ours)
    share = 1 - network_s / whole
    return (
        f"| `{name}` | {audio_s / whole:.0f} | {audio_s / network_s:.0f} | {bound} | {share:.0%} | {onnx} |"
    )


def main(names: list[str]) -> None:
    """Print a row a model."""
    torch.set_num_threads(1)
    threadpoolctl.threadpool_limits(1)  # NumPy's products too: another thread's waiting would count
    sounds = dataset.load("mini")
    sounds = sounds.select(sounds.clips["fname"].tolist()[::STEP])
    print(f"One thread, {peak() / 1e9:.0f} GFLOP/s in a matrix product.\n")
    print("| model | audio s/CPU-s | network alone | its bound | front end | ONNX Runtime |")
    print("|---|---|---|---|---|---|")
    for name in names or NAMES:
        print(row_of(name, sounds), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
