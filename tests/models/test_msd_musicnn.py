"""musicnn's graphs against what the published networks computed: record_{msd_,}musicnn.py recorded it."""

import os
from pathlib import Path

import numpy as np
import pytest

from sss_lib import models

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is loaded

HERE = Path(__file__).parent.parent
MODELS = HERE.parent / "data" / "models"
AUDIO = HERE.parent / "data" / "mini" / "audio"
GRAPH = MODELS / "msd-musicnn.pb"
RECORDED = np.load(HERE / "data" / "msd_musicnn_reference.npz")
OTHERS = np.load(HERE / "data" / "musicnn_reference.npz")
CLIPS = [name.removeprefix("patches/") for name in RECORDED if name.startswith("patches/")]
OUTPUTS = {"penultimate": "model/penultimate", "dense": "model/dense/BiasAdd", "Sigmoid": "model/Sigmoid"}


@pytest.fixture(scope="module")
def es():
    essentia = pytest.importorskip("essentia")
    essentia.log.infoActive = essentia.log.warningActive = False
    standard = pytest.importorskip("essentia.standard")
    if not hasattr(standard, "TensorflowPredictMusiCNN"):
        pytest.skip("this Essentia has no TensorFlow")
    return standard


def run(es, graph, patches, nodes=OUTPUTS):
    """Outputs of a graph for log-mel patches [shape=(n, 187, 96)], by their short names."""
    from essentia import Pool

    pool = Pool()
    pool.set("model/Placeholder", np.ascontiguousarray(patches[:, None]))
    inputs, outputs = ["model/Placeholder"], list(nodes.values())
    result = es.TensorflowPredict(graphFilename=str(graph), inputs=inputs, outputs=outputs, squeeze=True)(
        pool
    )
    return {name: result[node].reshape(len(patches), -1) for name, node in nodes.items()}


def assert_equals_recorded(values, output, name, of=RECORDED, within=1e-5):
    """Within 1e-5 of the largest value: another build of TensorFlow sums in another order."""
    recorded = of[f"{output}/{name}"]
    assert values.shape == recorded.shape
    np.testing.assert_allclose(values, recorded, rtol=0, atol=within * np.abs(recorded).max())


@pytest.mark.parametrize("name", ["network", *CLIPS])
def test_the_frozen_graph_equals_the_published_network(es, name):
    noise = np.random.default_rng(0).random((4, 187, 96), np.float32)
    outputs = run(es, GRAPH, noise if name == "network" else RECORDED[f"patches/{name}"])
    for output in OUTPUTS:
        assert_equals_recorded(outputs[output], output, name)


@pytest.mark.parametrize("model", ["MTT_musicnn", "MSD_vgg", "MTT_vgg"])
def test_the_other_networks_equal_the_published_ones(es, model):
    row = models.spec(model.lower().replace("_", "-"))
    features = row.options["output"].removeprefix("model/")
    nodes = {features: row.options["output"], "Sigmoid": "model/Sigmoid"}
    for name in ["network", *CLIPS]:
        noise = np.random.default_rng(0).random((4, 187, 96), np.float32)
        patches = noise if name == "network" else RECORDED[f"patches/{name}"]
        outputs = run(es, MODELS / row.weights.file, patches, nodes)
        assert outputs[features].shape[1] == row.dim
        for output in nodes:
            assert_equals_recorded(outputs[output], f"{model}/{output}", name, OTHERS, 3e-5)


@pytest.mark.parametrize("fname", CLIPS)
def test_essentia_cuts_the_patches_that_were_recorded(es, fname):
    import soundfile
    import soxr

    wave, native_hz = soundfile.read(AUDIO / f"{fname}.ogg", dtype="float32")
    wave = soxr.resample(wave, native_hz, 16000, quality="VHQ")
    for output, node in OUTPUTS.items():
        predict = es.TensorflowPredictMusiCNN(graphFilename=str(GRAPH), output=node, lastPatchMode="repeat")
        assert_equals_recorded(predict(wave), output, fname)


def stand_in_weights():
    """Random weights by the names and shapes of the checkpoint."""
    rng = np.random.default_rng(0)
    kernels = [(7, 38, 1, 204), (7, 67, 1, 204), (128, 1, 1, 51), (64, 1, 1, 51), (32, 1, 1, 51)]
    kernels += [(7, 561, 1, 64), (7, 64, 1, 64), (7, 64, 1, 64)]
    layers = {f"conv2d_{i}" if i else "conv2d": shape for i, shape in enumerate(kernels)}
    layers |= {"dense": (1506, 200), "dense_1": (200, 50)}
    weights = {f"{layer}/kernel": rng.normal(0, 0.05, shape) for layer, shape in layers.items()}
    weights |= {f"{layer}/bias": rng.normal(0, 0.05, shape[-1]) for layer, shape in layers.items()}
    for i, n_channels in enumerate([1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200]):
        layer = f"batch_normalization_{i}" if i else "batch_normalization"
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            weights[f"{layer}/{name}"] = rng.uniform(0.5, 1.5, n_channels)
    return {name: values.astype(np.float32) for name, values in weights.items()}


def test_the_graph_is_built_from_the_weights_alone(es, tmp_path):
    from build_musicnn import build

    weights = stand_in_weights()
    (tmp_path / "graph.pb").write_bytes(build(weights))
    assert build(weights) == (tmp_path / "graph.pb").read_bytes()
    outputs = run(es, tmp_path / "graph.pb", RECORDED["patches/198403"])
    layer = "batch_normalization_10"
    scale = weights[f"{layer}/gamma"] / np.sqrt(weights[f"{layer}/moving_variance"] + 1e-3)
    penultimate = (np.maximum(outputs["dense"], 0) - weights[f"{layer}/moving_mean"]) * scale
    penultimate += weights[f"{layer}/beta"]
    np.testing.assert_allclose(outputs["penultimate"], penultimate, rtol=1e-4, atol=1e-4)
    logits = penultimate @ weights["dense_1/kernel"] + weights["dense_1/bias"]
    np.testing.assert_allclose(outputs["Sigmoid"], 1 / (1 + np.exp(-logits)), atol=1e-4)
