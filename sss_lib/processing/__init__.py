"""Frame embeddings to clip embeddings: notebook 02.

Frames of many clips come in; one vector a clip goes out, with what was fitted on the way.

- `aggregation`: mean, maximum or median over time, or mean and deviation.
- `scaling`: features to [0, 1], vectors to unit length; `transforms`: centring, z-score, whitening, by name.
- `components`: matrices of PCA with a transform; `fitting`: all of these, fitted and applied.
- `projection`: clips in the plane.
- `checks`: what embeddings must be.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "aggregation": ["AGGREGATIONS", "Aggregated", "aggregate"],
        "components": ["explained"],
        "fitting": ["Processing", "fit", "fit_parts", "fit_within", "process", "steps"],
        "scaling": ["l2_normalize"],
        "projection": ["project"],
        "transforms": ["TRANSFORMS"],
    },
)
