"""Essentia, loaded without a word: what the loaders of its models share."""

import os
import types


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
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is loaded
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
