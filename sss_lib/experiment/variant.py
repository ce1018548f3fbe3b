"""Variants: how clip embeddings are made, and what their files are called."""

import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sss_lib.io.names import file_name_flaw, require_known, several
from sss_lib.models import registry as models
from sss_lib.models.levels import require_times
from sss_lib.models.naming import FUSION, RANKING, fused
from sss_lib.processing.aggregation import AGGREGATIONS, n_values, selection
from sss_lib.processing.transforms import n_first, n_removed, simplest
from sss_lib.search.naming import GIVEN, SEARCHES, parse


@dataclass(frozen=True)
class Variant:
    """How clip embeddings are made: a model and its processing.

    What comes to the same is one variant with one name: of a model with one embedding a clip every
    aggregation is "none", and centring before PCA is PCA.

    Attributes
    ----------
    model : str
    aggregation : str
        One of `processing.AGGREGATIONS`.
    n_components : int or None
        Of PCA; None for no PCA.
    normalize : bool
        Whether the result has unit length.
    pre_normalize : bool
        Whether the input of PCA has unit length, as in the CBMI 2024 code.
    scale : bool, optional
        Whether every feature is scaled to [0, 1] first; by default if the model declares it.
    transform : str
        One of `processing.transforms.TRANSFORMS`. Behind an @, as in "whiten@esc10", the collection whose
        clips scaling, transform and PCA are fitted on; by default those that are searched.

    Examples
    --------
    >>> Variant("aisfx", "mean", 100).name, Variant("aisfx", transform="center").name
    ('aisfx-mean-pca100-l2', 'aisfx-mean-center-pcanone-l2')
    >>> Variant("aisfx", n_components=100, transform="none@esc10").name
    'aisfx-mean-none@esc10-pca100-l2'
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
        if n is not None and n < 1:
            raise ValueError(f"n_components={n} is below 1: give None for no PCA")
        for name in ("normalize", "pre_normalize", "scale"):
            value = getattr(self, name)
            if value not in (True, False) and not (value is None and name == "scale"):
                raise ValueError(f"{name}={value!r}: give True or False, without quotes")
        require_known(self.aggregation, AGGREGATIONS, "the aggregations")
        n_removed(self.step if isinstance(self.transform, str) else self.transform)  # refuses an unknown one
        if flaw := self.fit_on and file_name_flaw(self.fit_on):
            raise ValueError(f"transform {self.transform!r}: the collection behind @ {flaw}")
        object.__setattr__(self, "model", models.canonical(self.model))
        spec = models.spec(self.model)
        step, scale = (
            simplest(self.step, self.n_components),
            spec.scaled if self.scale is None else self.scale,
        )
        is_fitted = n is not None or scale or (step != "none" and not n_first(step))
        canonical = {
            "aggregation": self.aggregation if spec.hop_s else "none",
            "n_components": int(n) if isinstance(n, numbers.Integral) else None,
            "normalize": bool(self.normalize),
            "pre_normalize": bool(self.pre_normalize),
            "scale": bool(scale),
            "transform": f"{step}@{self.fit_on}" if self.fit_on and is_fitted else step,
        }
        if self.model.startswith(RANKING):  # there is nothing to process
            canonical = {"aggregation": "none", "n_components": None, "normalize": False}
            canonical |= {"pre_normalize": False, "scale": False, "transform": "none"}
        if selection(str(canonical["aggregation"])) and not self.model.startswith(FUSION):
            require_times(spec)
        for name, value in canonical.items():
            object.__setattr__(self, name, value)

    @property
    def is_ranking(self) -> bool:
        """Whether its clips come with rankings in place of embeddings: those of others, or a fusion."""
        return self.model.startswith((RANKING, FUSION))

    @property
    def parts(self) -> tuple["Variant", ...]:
        """The variants whose rankings are fused; none if it isn't a fusion.

        Examples
        --------
        >>> [one.name for one in Variant("fusion:rrf:mcss:yamnet&logmel", n_components=50).parts]
        ['yamnet-mean-pca50-l2', 'logmel-none-pca50-l2']
        """
        names = fused(self.model)[2] if self.model.startswith(FUSION) else []
        return tuple(replace(self, model=name, scale=None) for name in names)

    @property
    def step(self) -> str:
        """Its transform without the collection that it is fitted on."""
        return self.transform.partition("@")[0]

    @property
    def fit_on(self) -> str:
        """Collection that its processing is fitted on; "" for the clips that are searched."""
        return self.transform.partition("@")[2]

    @property
    def dim(self) -> int:
        """Dimensions of a clip's embedding.

        Examples
        --------
        >>> Variant("yamnet", "meanstd").dim, Variant("yamnet", n_components=100).dim
        (2048, 100)
        """
        if self.parts:
            return sum(one.dim for one in self.parts)
        dim = models.spec(self.model).dim * n_values(self.aggregation)
        return self.n_components or n_first(self.step) or dim

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

    def searches(self, wanted: str | Sequence[str]) -> list[str]:
        """Those of some searches that suit its model: `given` for a ranking or a fusion, and for it alone.

        Raises
        ------
        ValueError
            If one is unknown, or none suits.

        Examples
        --------
        >>> Variant("yamnet").searches("mcss"), Variant("yamnet").searches(["nns", "given", "nns"])
        (['mcss'], ['nns'])
        """
        if self.is_ranking:
            return [GIVEN]
        names = several(wanted, "searches")
        suited = [search for search in names if parse(search).exact != GIVEN]
        if not suited:
            raise ValueError(
                f"searches={names}: none ranks {self.model}, give one or more of {', '.join(SEARCHES)}"
            )
        return suited

    def parameters(self) -> dict:
        """Its fields, as an artefact records them."""
        return dict(vars(self))
