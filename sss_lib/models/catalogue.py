"""The catalogue of audio representations: one row a model, and nothing about any of them anywhere else."""

from sss_lib.models.rows import attention, clap, clip, effects, essentia, floors, later
from sss_lib.models.spec import ModelSpec

KINDS = (effects, essentia, attention, clap, clip, later, floors)
CATALOGUE: dict[str, ModelSpec] = {row.name: row for kind in KINDS for row in kind.ROWS}
