"""Variants: how clip embeddings are made, and what their files are called."""

import numbers
from collections.abc import Sequence
from dataclasses import dataclass

from sss_lib.io.names import require_known
from sss_lib.models import registry as models
from sss_lib.models.naming import RANKING
from sss_lib.processing.aggregation import AGGREGATIONS
from sss_lib.processing.transforms import n_first, n_removed, simplest
from sss_lib.search.naming import GIVEN


@dataclass(frozen=True)
class Variant:
    """How clip embeddings are made: a model and its processing.

    What comes to the same is one variant with one name: of a model with one embedding a clip every
    aggregation is "none", and centring before PCA is PCA.

    Attributes
    ----------
    model : str
    aggregation : str
        "mean", "max", "median", "meanstd" or "none".
    n_components : int or None
        Of PCA; None for no PCA.
    normalize : bool
        Whether the result has unit length.
    pre_normalize : bool
        Whether the input of PCA has unit length, as in the CBMI 2024 code.
    scale : bool, optional
        Whether every feature is scaled to [0, 1] first; by default if the model declares it.
    transform : str
        One of `processing.transforms.TRANSFORMS`.

    Examples
    --------
    >>> Variant("aisfx", "mean", 100).name, Variant("aisfx", transform="center").name
    ('aisfx-mean-pca100-l2', 'aisfx-mean-center-pcanone-l2')
    """

    model: str
    aggregation: str = "mean"
    n_components: int | None = None
    normalize: bool = True
    pre_normalize: bool = False
    scale: bool | None = None
    transform: str = "none"

    def __post_init__(self) -> None:
        n: object = self.n_components  # a notebook's parameters come without types
        if not (n is None or isinstance(n, numbers.Integral)) or isinstance(n, bool):
            raise ValueError(f"n_components={n!r}: give a whole number, or None for no PCA")
        for name in ("normalize", "pre_normalize", "scale"):
            value = getattr(self, name)
            if value not in (True, False) and not (value is None and name == "scale"):
                raise ValueError(f"{name}={value!r}: give True or False, without quotes")
        require_known(self.aggregation, AGGREGATIONS, "the aggregations")
        n_removed(self.transform)  # refuses an unknown one
        object.__setattr__(self, "model", models.canonical(self.model))
        spec = models.spec(self.model)
        canonical = {
            "aggregation": self.aggregation if spec.hop_s else "none",
            "n_components": int(n) if isinstance(n, numbers.Integral) else None,
            "normalize": bool(self.normalize),
            "pre_normalize": bool(self.pre_normalize),
            "scale": spec.scaled if self.scale is None else bool(self.scale),
            "transform": simplest(self.transform, self.n_components),
        }
        if self.is_ranking:  # there is nothing to process
            canonical = {"aggregation": "none", "n_components": None, "normalize": False}
            canonical |= {"pre_normalize": False, "scale": False, "transform": "none"}
        for name, value in canonical.items():
            object.__setattr__(self, name, value)

    @property
    def is_ranking(self) -> bool:
        """Whether its model is a ranking of others, which is not processed."""
        return self.model.startswith(RANKING)

    @property
    def dim(self) -> int:
        """Dimensions of a clip's embedding.

        Examples
        --------
        >>> Variant("yamnet", "meanstd").dim, Variant("yamnet", n_components=100).dim
        (2048, 100)
        """
        dim = models.spec(self.model).dim * (1 + (self.aggregation == "meanstd"))
        return self.n_components or n_first(self.transform) or dim

    @property
    def name(self) -> str:
        """What its files are called."""
        pca = "none" if self.n_components is None else self.n_components
        parts = [
            models.file_name(self.model),
            self.aggregation,
            *(["minmax"] if self.scale else []),
            *([self.transform] if self.transform != "none" else []),
            f"pca{pca}",
        ]
        return "-".join(
            [*parts, "l2" if self.normalize else "raw", *(["prel2"] if self.pre_normalize else [])]
        )

    def searches(self, wanted: Sequence[str]) -> list[str]:
        """Those of some searches that suit its model: `given` for a ranking of others, and for it alone."""
        if self.is_ranking:
            return [GIVEN]
        return [search for search in wanted if search != GIVEN]

    def parameters(self) -> dict:
        """Its fields, as an artefact records them."""
        return dict(vars(self))
