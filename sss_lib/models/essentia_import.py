"""Essentia, loaded without a word: what the loaders of its models share."""

import os
import types
from collections.abc import Callable

from sss_lib.models import weights
from sss_lib.models.spec import ModelSpec

ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_NUM_INTRAOP_THREADS": "1",  # one thread a worker: two don't fight
    "TF_NUM_INTEROP_THREADS": "1",
}


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


def graph_algorithm(spec: ModelSpec, name: str, **options: object) -> Callable:
    """Return the algorithm of Essentia that runs a model's graph.

    Parameters
    ----------
    spec : ModelSpec
    name : str
        The algorithm's.
    **options
        Its parameters, but for the graph.

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
    if not hasattr(standard, name):
        raise ImportError(
            f"{spec.name} needs {name}, which this Essentia doesn't have, because it is without TensorFlow: "
            "uninstall the package essentia, and install the other with pip install -e .[essentia]"
        )
    path = weights.find(spec.name, spec.weights)
    try:
        return getattr(standard, name)(graphFilename=str(path), **options)
    except RuntimeError as error:
        raise weights.unusable(spec.name, spec.weights, error) from None
