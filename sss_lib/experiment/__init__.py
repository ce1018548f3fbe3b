"""Experiments: grids of systems, and the runs that score them.

A grid in YAML comes in; executed notebooks and a tree of artefacts go out. It runs all notebooks.

- `grid`: grids of systems; `rules`: which of these it keeps, what suits them; `variant`: how clip embeddings
  are made; `store`: where each artefact lives.
- `stages`: which runs of notebooks a grid needs; `runner`: does those that are not current; `task`: one run
  of one notebook, through papermill and an `engine` that saves it once; `surroundings`: the environment of
  its kernel; `warm`: has kernels forked by a `forkserver`, which has done their imports.
- `parameters`: what those of a notebook may be.
- `results`: reads scores and embeddings back; `common_clips`: scores of systems on the clips that all have;
  `scores`: picks those of a metric or of the best systems.
- `apart`: queries apart from the corpus, and other ways to rank.
- `reproduction`: whether a run gives the committed results again; `pages`: its notebooks as Markdown.
- `distributed`: searches and scores shared out on a Dask cluster.
"""

import lazy_loader

OF_RESULTS = """class_scores comparison_artefact extract_to failures index_of n_clips n_cores read_results
results_of split_by_availability system_of systems"""

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "grid": ["NOTEBOOKS", "Grid", "read_grid"],
        "common_clips": ["comparable", "read_scores"],
        "results": OF_RESULTS.split(),
        "store": ["Store"],
        "variant": ["Variant"],
    },
)
