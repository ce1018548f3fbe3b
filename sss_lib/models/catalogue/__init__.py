"""The catalogue of audio representations: one row a model, and nothing about any of them anywhere else."""

from sss_lib.models.catalogue import (
    attention,
    clap,
    clip,
    convolutional,
    descriptors,
    effects,
    essentia,
    later,
)
from sss_lib.models.spec import ModelSpec

KINDS = (effects, essentia, convolutional, attention, clap, clip, later, descriptors)
CATALOGUE: dict[str, ModelSpec] = {row.name: row for kind in KINDS for row in kind.ROWS}
