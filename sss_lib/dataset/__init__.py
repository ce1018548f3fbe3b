"""Clips, labels and families: notebook 00.

A known name or a folder comes in; a `Dataset` goes out, and a report on its files.

- `dataset`: load a collection or a subset of it, keep it as a table.
- `ground_truth`, `taxonomy`: tables of clips, vocabularies.
- `known/`: the collections that are known by name.
- `examination`, `verification`, `describe`: what is in each file, is a copy whole, and what is in it?
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "dataset": [
            "KNOWN",
            "Dataset",
            "fetch",
            "fingerprint",
            "from_folder",
            "inspect",
            "known_as",
            "load",
            "name_of",
            "read",
            "taxonomy_of",
            "write",
        ],
        "examination": ["verify"],
        "ground_truth": ["DatasetError"],
    },
)
