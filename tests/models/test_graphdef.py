"""graphdef writes what TensorFlow reads: Essentia's TensorFlow runs the graphs."""

import os

import numpy as np
import pytest
from graphdef import FLOAT, INT32, DType, Graph, Shape, random_graph

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is loaded
PATCHES = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)


def run(content, patches, inputs, outputs, tmp_path):
    """Outputs of a graph [shape=(n, ...)], computed by Essentia."""
    essentia = pytest.importorskip("essentia")
    essentia.log.infoActive = False
    standard = pytest.importorskip("essentia.standard")
    if not hasattr(standard, "TensorflowPredict"):
        pytest.skip("this Essentia has no TensorFlow")
    path = tmp_path / "graph.pb"
    path.write_bytes(content)
    pool = essentia.Pool()
    pool.set(inputs, np.ascontiguousarray(patches[:, None]))
    predict = standard.TensorflowPredict(
        graphFilename=str(path), inputs=[inputs], outputs=outputs, squeeze=True
    )
    result = predict(pool)
    return [result[name].reshape(len(patches), -1) for name in outputs]


@pytest.mark.parametrize("batch", [-1, 3])
def test_stand_in_is_the_positive_part_of_a_product(tmp_path, batch):
    content = random_graph("model/Placeholder", [batch, 5, 4], "model/Sigmoid", dim=7, seed=1)
    (output,) = run(content, PATCHES, "model/Placeholder", ["model/Sigmoid"], tmp_path)
    matrix = np.random.default_rng(1).standard_normal((20, 7), np.float32) / np.sqrt(20)
    np.testing.assert_allclose(output, np.maximum(PATCHES.reshape(3, 20) @ matrix, 0), atol=1e-6)
    assert (output > 0).any()


def test_stand_in_of_a_fixed_batch_refuses_another(tmp_path):
    with pytest.raises(RuntimeError, match="Error running the Tensorflow session"):
        run(random_graph("x", [2, 5, 4], "y", dim=7), PATCHES, "x", ["y"], tmp_path)


def test_every_kind_of_attribute_is_read_back(tmp_path):
    graph = Graph()
    x = graph.add("x", "Placeholder", dtype=FLOAT, shape=Shape([-1, 5, 4]))
    x = graph.add("deep", "ExpandDims", [x, graph.constant("last", np.int32(3))], T=FLOAT, Tdim=INT32)
    x = graph.add(
        "pooled", "MaxPool", [x], T=FLOAT, ksize=[1, 5, 1, 1], strides=[1, 5, 1, 1], padding="VALID"
    )
    x = graph.add("leaky", "LeakyRelu", [x], T=FLOAT, alpha=0.5)
    over = graph.constant("axes", np.array([1, 2], np.int32))
    graph.add("mean", "Mean", [x, over], T=FLOAT, Tidx=INT32, keep_dims=True)
    (output,) = run(graph.to_bytes(), PATCHES, "x", ["mean"], tmp_path)
    pooled = PATCHES.max(axis=1)
    expected = np.where(pooled > 0, pooled, pooled / 2).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(output, expected, atol=1e-6)


def test_a_node_is_encoded_as_worked_out_by_hand():
    graph = Graph()
    graph.add("a", "NoOp")
    node = b"\x0a\x01a" + b"\x12\x04NoOp"
    assert graph.to_bytes() == b"\x0a" + bytes([len(node)]) + node + b"\x22\x02\x08\x1b"


def test_unfit_graphs_are_refused():
    graph = Graph()
    x = graph.constant("x", np.float32(1))
    with pytest.raises(ValueError, match="in the graph already"):
        graph.constant("x", np.float32(1))
    with pytest.raises(ValueError, match="not in the graph"):
        graph.add("y", "Add", [x, "z"], T=FLOAT)
    with pytest.raises(ValueError, match="not a node name"):
        graph.add("y:0", "Identity", [x], T=FLOAT)
    with pytest.raises(ValueError, match="float64"):
        graph.constant("y", np.ones(2))
    with pytest.raises(ValueError, match="type set"):
        graph.add("y", "Identity", [x], T={1})
    with pytest.raises(ValueError, match="only the first dimension"):
        random_graph("x", [-1, -1, 96], "y", dim=2)
    assert DType.of(np.zeros(1, np.int32)) is INT32
