"""Write frozen TensorFlow graphs without TensorFlow: a small encoder of the GraphDef protocol buffer.

A `Graph` collects nodes and gives the bytes of a `.pb` file, the same bytes for the same nodes. Operations
and attributes have TensorFlow's own names. Types are not inferred: an operation needs every attribute for
which TensorFlow has no default. `random_graph` makes a small stand-in for a published graph.
"""

import enum
import re
import struct
from collections.abc import Sequence

import numpy as np

_NODE_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\-/]*")
_PRODUCER = 27
"""The graph format of TensorFlow 1.6 to 1.14: every later version reads it."""


class DType(enum.IntEnum):
    """TensorFlow's numbers for the types of tensors."""

    FLOAT = 1
    INT32 = 3

    @classmethod
    def of(cls, values: np.ndarray) -> "DType":
        """Return the type of an array; ValueError if it is not one that can be written."""
        try:
            return {"float32": cls.FLOAT, "int32": cls.INT32}[values.dtype.name]
        except KeyError:
            raise ValueError(f"dtype {values.dtype} can't be written: convert to float32 or int32") from None


FLOAT, INT32 = DType.FLOAT, DType.INT32


class Shape(tuple):
    """The dimensions of a tensor; -1 stands for any size."""


class Graph:
    r"""A TensorFlow graph in the making.

    Examples
    --------
    >>> graph = Graph()
    >>> x = graph.add("x", "Placeholder", dtype=FLOAT, shape=Shape([-1, 2]))
    >>> graph.add("double", "Mul", [x, graph.constant("two", np.float32(2))], T=FLOAT)
    'double'
    >>> graph.to_bytes()[:18]
    b'\n;\n\x01x\x12\x0bPlaceholder'
    """

    def __init__(self) -> None:
        self._nodes: dict[str, bytes] = {}

    def add(self, name: str, op: str, inputs: Sequence[str] = (), **attributes: object) -> str:
        """Add a node and return its name, for use as another node's input.

        Parameters
        ----------
        name : str
        op : str
            TensorFlow's name of the operation, as in "MatMul".
        inputs : sequence of str
            Names of nodes that were added before.
        **attributes : DType, Shape, np.ndarray, bool, int, float, str or list of int
            By TensorFlow's names.

        Raises
        ------
        ValueError
            If the name is no node name or is taken, or an input is missing.
        """
        if not _NODE_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a node name: letters, digits and . _ - / only")
        if name in self._nodes:
            raise ValueError(f"{name!r} is in the graph already: give every node a name of its own")
        missing = [source for source in inputs if source not in self._nodes]
        if missing:
            raise ValueError(f"{name!r} reads {missing}, not in the graph: add inputs before what reads them")
        node = _text(1, name) + _text(2, op) + b"".join(_text(3, source) for source in inputs)
        for key, value in sorted(attributes.items()):
            node += _message(5, _text(1, key) + _message(2, _attribute(value)))
        self._nodes[name] = node
        return name

    def constant(self, name: str, values: np.ndarray) -> str:
        """Add a tensor of fixed values, float32 or int32, and return its name."""
        values = np.asarray(values)
        return self.add(name, "Const", dtype=DType.of(values), value=values)

    def to_bytes(self) -> bytes:
        """Return the content of the graph's `.pb` file."""
        nodes = b"".join(_message(1, node) for node in self._nodes.values())
        return nodes + _message(4, _integer(1, _PRODUCER))


def random_graph(
    inputs: str,
    in_shape: Sequence[int],
    output: str | Sequence[str],
    dim: int,
    seed: int = 0,
    averaged: Sequence[int] = (),
) -> bytes:
    """Return a stand-in graph: the input, flattened, times a random matrix; negative values become 0.

    Parameters
    ----------
    inputs : str
        Name of the placeholder, as in the published graph.
    in_shape : sequence of int
        Shape of the placeholder. The first dimension is the batch: -1 for any size, or a fixed one, and
        then running the graph on another size fails, as it does for published graphs.
    output : str or sequence of str
        Name of the result [shape=(batch, dim)]; further names give the same values.
    dim : int
    seed : int
        The same arguments give the same bytes.
    averaged : sequence of int
        Axes to average over first: a smaller matrix where input and output are large.

    Raises
    ------
    ValueError
        If a dimension other than the first is not known.

    Examples
    --------
    >>> stand_in = random_graph("melspectrogram", [-1, 96, 64], "embeddings", dim=8)
    >>> stand_in == random_graph("melspectrogram", [-1, 96, 64], "embeddings", dim=8, seed=1)
    False
    """
    outputs = [output] if isinstance(output, str) else list(output)
    n_values = int(np.prod([n for axis, n in enumerate(in_shape) if axis > 0 and axis not in averaged]))
    if min(in_shape[1:], default=1) < 1:
        raise ValueError(f"in_shape={list(in_shape)}: only the first dimension may be -1")
    matrix = np.random.default_rng(seed).standard_normal((n_values, dim), np.float32) / np.sqrt(n_values)
    graph, within = Graph(), f"{outputs[0]}/stand_in"
    x = graph.add(inputs, "Placeholder", dtype=FLOAT, shape=Shape(in_shape))
    if averaged:
        axes = graph.constant(f"{within}/axes", np.array(averaged, np.int32))
        x = graph.add(f"{within}/mean", "Mean", [x, axes], T=FLOAT, Tidx=INT32, keep_dims=False)
    flat_shape = graph.constant(f"{within}/shape", np.array([in_shape[0], n_values], np.int32))
    x = graph.add(f"{within}/flat", "Reshape", [x, flat_shape], T=FLOAT, Tshape=INT32)
    weights = graph.constant(f"{within}/weights", matrix.astype(np.float32))
    x = graph.add(f"{within}/product", "MatMul", [x, weights], T=FLOAT, transpose_a=False, transpose_b=False)
    x = graph.add(outputs[0], "Relu", [x], T=FLOAT)
    for name in outputs[1:]:
        graph.add(name, "Identity", [x], T=FLOAT)
    return graph.to_bytes()


def _attribute(value: object) -> bytes:
    """Encode an AttrValue: which of its fields is set tells the reader the kind."""
    match value:
        case DType():
            return _integer(6, value)
        case bool():
            return _integer(5, value)
        case int():
            return _integer(3, value)
        case float():
            return _tag(4, 5) + struct.pack("<f", value)
        case str():
            return _text(2, value)
        case Shape():
            return _message(7, _shape(value))
        case np.ndarray():
            return _message(8, _tensor(value))
        case list():
            return _message(1, _message(3, b"".join(_varint(item) for item in value)))
    raise ValueError(f"an attribute of type {type(value).__name__} can't be written: see Graph.add")


def _tensor(values: np.ndarray) -> bytes:
    """Encode a TensorProto: little-endian values in row order."""
    content = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return _integer(1, DType.of(values)) + _message(2, _shape(values.shape)) + _message(4, content)


def _shape(dims: Sequence[int]) -> bytes:
    """Encode a TensorShapeProto."""
    return b"".join(_message(2, _integer(1, dim)) for dim in dims)


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _message(field: int, content: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(content)) + content


def _integer(field: int, value: int) -> bytes:
    return _tag(field, 0) + _varint(value)


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    """Encode an integer, seven bits a byte, the lowest first; the top bit says that more follow.

    Negative numbers are written in two's complement of 64 bits.

    Examples
    --------
    >>> _varint(300).hex()
    'ac02'
    >>> _varint(-1).hex()
    'ffffffffffffffffff01'
    """
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
