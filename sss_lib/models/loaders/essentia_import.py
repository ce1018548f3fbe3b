"""Essentia, loaded without a word: what the loaders of its models share."""

import os
import types
from collections.abc import Callable

import numpy as np

from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import file as weights

ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_NUM_INTRAOP_THREADS": "1",  # one thread a worker: two don't fight
    "TF_NUM_INTEROP_THREADS": "1",
}
BATCH = 60
"""Inputs of a graph at once."""


def essentia_standard(model: str) -> types.ModuleType:
    """Return `essentia.standard`, with the start-up messages of Essentia and TensorFlow kept away.

    Parameters
    ----------
    model : str
        Who needs it, for the message.

    Raises
    ------
    ImportError
        If Essentia isn't installed, as where it has no wheels: anywhere but on Linux on x86-64.
    """
    for name, value in ENVIRONMENT.items():  # TensorFlow reads it when it is loaded
        os.environ.setdefault(name, value)
    try:
        import essentia

        essentia.log.infoActive = False  # before the next line, which would print
        essentia.log.warningActive = False
        import essentia.standard
    except ImportError as error:
        raise ImportError(
            f"{model} needs Essentia ({error}): install it with pip install -e .[essentia], "
            "on Linux with an x86-64 processor; it has no wheels for others"
        ) from None
    return essentia.standard


def graph(spec: ModelSpec, inputs: str, output: str, *, squeeze: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Return a model's frozen graph, run by Essentia: float32 [n, ...] of four axes to [n, dim].

    Parameters
    ----------
    spec : ModelSpec
    inputs, output : str
        Nodes of the graph.
    squeeze : bool
        Whether the graph takes its input without axes of length one.

    Raises
    ------
    ImportError
        If Essentia isn't installed, or is the one without TensorFlow.
    FileNotFoundError
        If the graph is missing.
    ValueError
        If the file isn't the expected one, or isn't such a graph.
    """
    standard = essentia_standard(spec.name)
    from essentia import Pool

    if not hasattr(standard, "TensorflowPredict"):
        raise ImportError(
            f"{spec.name} needs TensorFlow, and this Essentia is without it: uninstall the package essentia, "
            "and install the other with pip install -e .[essentia]"
        )
    path = weights.find(spec.name, spec.needed_weights)
    try:
        predict = standard.TensorflowPredict(
            graphFilename=str(path), inputs=[inputs], outputs=[output], squeeze=squeeze
        )
    except RuntimeError as error:
        raise weights.unusable(spec.name, spec.needed_weights, error) from None

    def embed(values: np.ndarray) -> np.ndarray:
        rows = []
        for start in range(0, len(values), BATCH):
            pool = Pool()
            pool.set(
                inputs, np.ascontiguousarray(values[start : start + BATCH], np.float32)
            )  # reads one piece
            rows.append(predict(pool)[output].reshape(-1, spec.dim))
        return np.concatenate(rows)

    return embed
