"""What a grid keeps and adds: rules, fusions, what clips allow, and which queries and ways suit a system."""

import fnmatch
import glob
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sss_lib.experiment.variant import Variant
from sss_lib.io.names import require_known
from sss_lib.models.naming import absolute
from sss_lib.processing.transforms import most_components, n_first, n_removed
from sss_lib.search import naming as methods
from sss_lib.search.fusion import FUSIONS

if TYPE_CHECKING:
    from sss_lib.evaluation.ways import Way

RULE = ("model", "aggregation", "n_components", "normalize", "pre_normalize", "scale", "transform", "search")
"""Words that a rule of `include` or `exclude` can have."""


def require_rule(rule: object) -> None:
    """Raise ValueError if a rule of `include` or `exclude` is none."""
    if not isinstance(rule, Mapping) or not rule:
        raise ValueError(f"rule {rule!r} of the grid is not a mapping: give, say, model: aisfx")
    for word in rule:
        require_known(word, RULE, "the words of a rule of the grid")


def require_fusion(fusion: object, searches: Sequence[str]) -> None:
    """Raise ValueError if a fusion of a grid with these searches is none."""
    if not isinstance(fusion, Mapping) or not isinstance(fusion.get("models"), list):
        raise ValueError(f"fusion {fusion!r} of the grid: give, say, how: zscore, models: [yamnet, aisfx]")
    for word in fusion:
        require_known(word, ("how", "models", "search"), "the words of a fusion of the grid")
    require_known(fusion.get("how"), FUSIONS, "the fusions")
    require_known(fusion.get("search", searches[0]), searches, "the searches of the grid")
    if odd := [one for one in fusion["models"] if "&" in str(one)]:
        raise ValueError(f"a fusion can't have {odd[0]!r}, as & parts its models: rename its folder")


def fits(system: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
    """Whether every word of a rule has one of its values in a system."""
    return all(
        any(
            fnmatch.fnmatchcase(system["model"], str(value)) if word == "model" else system[word] == value
            for value in (values if isinstance(values, list) else [values])
        )
        for word, values in rule.items()
    )


def absolute_rule(rule: object, folder: Path) -> object:
    """Return a rule whose paths of models are from a folder, as those of the models themselves."""
    if not isinstance(rule, Mapping) or "model" not in rule:
        return rule  # the grid refuses it, or there is nothing to do
    values = rule["model"] if isinstance(rule["model"], list) else [rule["model"]]
    return {**rule, "model": [absolute(str(value), glob.escape(str(folder))) for value in values]}


def obstacle(
    variant: Variant, name: str, pca: int | None, dim: int, n_clips: Mapping[str, int] | None
) -> tuple[str, object]:
    """Why a variant can't be made of its dimensions and clips, and what is too much: "" if it can."""
    transform, other = variant.step, variant.fit_on
    n_fit = (n_clips or {}).get(f"{name}@{other}" if other else name)
    # Whitening without PCA takes all dimensions; the other transforms leave at least one.
    wanted = n_first(transform) or pca or (dim if transform == "whiten" else 1)
    what = "PCA" if transform == "none" else f"{transform}, PCA"
    if other and n_clips is not None and not n_fit:
        return f"fitted on {other}, which is searched itself or has no 00 and 01 of", name
    if n_first(transform) and pca:
        return f"{name}, {transform}, is cut already: no PCA", pca
    if wanted > dim - n_removed(transform):
        return f"{name} has {dim} dimensions: no {what}", pca
    if n_fit and not n_first(transform) and wanted > most_components(transform, n_fit, dim):
        of = f" of {other}" if other else ""
        return f"{name} has embedded {n_fit} clips{of}: no {what}", pca
    return "", None


def takes_queries(variant: Variant, search: str) -> bool:
    """Whether queries apart can ask a system: one that compares embeddings by a plain search."""
    return not variant.is_ranking and methods.parse(search).is_plain


def parse_way(way: str) -> "Way":
    """See `ways.parse`, whose imports take long, and which few grids need."""
    from sss_lib.evaluation import ways

    return ways.parse(way)


def suits(variant: Variant, way: str) -> bool:
    """Whether a way is measured beside a variant: the weights of a fusion, and all others of a model.

    Only of plain variants: means, or one embedding a clip, of unit length without a transform.

    Examples
    --------
    >>> suits(Variant("yamnet"), "dtw"), suits(Variant("logmel"), "dtw"), suits(Variant("yamnet"), "weights")
    (True, False, False)
    """
    kind = parse_way(way).kind
    is_plain = variant.normalize and not variant.pre_normalize and variant.transform == "none"
    hows = ("mean",) if kind == "frames" else ("mean", "none")
    is_of_kind = bool(variant.parts) if kind == "weights" else not variant.is_ranking
    return is_plain and is_of_kind and variant.aggregation in hows
