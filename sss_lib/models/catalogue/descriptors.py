"""Descriptors: representations without training."""

from sss_lib.models.spec import ModelSpec

ROWS = (
    ModelSpec(
        name="logmel",
        display_name="Log-mel statistics",
        loader="descriptors",
        rate_hz=44100,
        dim=128,
        hop_s=None,
        n_parameters="0",
        data_size="0",
        colour="#E69F00",
        verified="against SciPy",
        citation="this project: mean and standard deviation over time of 64 log-mel bands",
    ),
    ModelSpec(
        name="duration",
        display_name="Duration and level",
        loader="descriptors",
        rate_hz=44100,
        dim=2,
        hop_s=None,
        n_parameters="0",
        data_size="0",
        colour="#999999",
        verified="by hand",
        citation="this project: logarithm of the length and of the level, the floor",
        is_baseline=True,
    ),
)
