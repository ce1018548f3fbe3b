"""Grids of systems, and what they have scored: all notebooks run under it.

A grid in YAML comes in; executed notebooks and a tree of artefacts go out.

- `grid`: grids of systems; `variant`: how clip embeddings are made; `store`: where each artefact lives.
- `runner`: runs the notebooks of a grid that are not current; `stages`: which notebooks these are; `task`:
  one run of one notebook, through papermill; `surroundings`: of its kernel.
- `results`, `scores`: what has been scored, read back; those of each model's best system.
- `reproduction`: whether a run gives the committed results again, within tolerances; `pages`: its executed
  notebooks as Markdown.
- `distributed`: searches and scores shared out on a Dask cluster.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "grid": ["NOTEBOOKS", "Grid", "read_grid"],
        "results": [
            "class_scores",
            "comparable",
            "comparison_artefact",
            "extract_to",
            "failures",
            "index_of",
            "n_clips",
            "n_cores",
            "read_results",
            "read_scores",
            "results_of",
            "split_by_availability",
            "system_of",
            "systems",
        ],
        "store": ["Store"],
        "variant": ["Variant"],
    },
)
