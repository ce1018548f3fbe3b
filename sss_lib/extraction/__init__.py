"""A model over all clips of a dataset: notebook 01.

A dataset and a model's name come in; files of frame embeddings go out, and a list of what failed.

- `extraction`: the whole run, resumable; `parts`: the files that it writes, read back.
- `embedding`: clips through a model, here or in workers.
- `workers`: worker processes of this machine, which may be killed; `cluster`: those of Dask.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "embedding": ["GROUP_CLIPS"],
        "extraction": ["Report", "extract"],
        "parts": ["PART_CLIPS", "Parts", "code_of", "part_files", "read"],
    },
)
