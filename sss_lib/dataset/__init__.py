"""Clips, labels and families: notebook 00.

A known name or a folder comes in; a `Dataset` goes out, and a report on its files.

- `dataset`: a labelled collection of clips, and subsets of it; `query`: which clips these have.
- `sources`: load a collection that is known by name, or a folder; `known/`: the collections.
- `ground_truth`, `taxonomy`: how tables of clips and vocabularies are read.
- `measuring`: what is in each file? `verification`: is a copy whole? `describe`: what is in the collection?
- `table`: the artefact of a dataset, which the other notebooks read.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "dataset": ["Dataset"],
        "sources": [
            *("KNOWN", "fetch", "from_folder", "inspect", "known_as", "load", "name_of", "taxonomy_of"),
        ],
        "table": ["fingerprint", "read", "write"],
        "measuring": ["verify"],
        "ground_truth": ["DatasetError"],
    },
)
