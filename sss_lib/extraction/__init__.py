"""A model over all clips of a dataset: notebook 01.

A dataset and a model's name come in; files of frame embeddings go out, and a list of what failed.

- `extraction`: resumable, in parts, on several processes or a cluster.
- `processes`: processes of this machine that may be killed.
- `cluster`: workers of a Dask cluster.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "extraction": [
            "GROUP_CLIPS",
            "PART_CLIPS",
            "Parts",
            "Report",
            "code_of",
            "extract",
            "part_files",
            "read",
        ],
    },
)
