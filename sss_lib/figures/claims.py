"""What the study claims, tested as claims on whatever collection is at hand.

Each claim sets two arms of systems against each other that differ in one thing only, pair by pair. The effect
is the difference in macro MAP@N, averaged over the pairs; its interval comes from drawing the queries anew,
the same draws for both arms. On vectors of unit length the exact searches rank alike: pairs that compare the
same rankings count once, and a pair of equal rankings not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sss_lib.evaluation import paired
from sss_lib.experiment.results import Variant
from sss_lib.models import registry as models
from sss_lib.search.naming import parse

System = tuple[Variant, str]
Pairs = list[tuple[System, System]]
LITTLE = 0.02
"""Less than this in macro MAP@N is called nothing: two units of the last digit that the study prints."""


@dataclass(frozen=True)
class Claim:
    """One claim of the study: that one arm finds more than the other, as much, or not less.

    Attributes
    ----------
    words : str
        As a sentence.
    says : str
        "more", "as much" or "not less": of the first arm, compared with the second.
    pairs : callable
        Systems that were run to pairs of a system of each arm.
    """

    words: str
    says: str
    pairs: Callable[[Sequence[System]], Pairs]


def by_search(one: str, other: str) -> Callable[[Sequence[System]], Pairs]:
    """Pairs of searches over the same embeddings, of contenders processed as they should be."""
    return lambda systems: [
        ((variant, one), (variant, other))
        for variant in dict.fromkeys(variant for variant, _ in systems)
        if is_contender(variant) and {(variant, one), (variant, other)} <= set(systems)
    ]


def by_field(field: str, one: object, other: object) -> Callable[[Sequence[System]], Pairs]:
    """Pairs of variants of unit length that differ in one field, searched alike.

    Of contenders, as in `by_search`. On raw embeddings PCA would be praised for what its centring does to
    the inner product.
    """
    changed: dict[str, Any] = {field: other}
    return lambda systems: [
        (system, (replace(system[0], **changed), system[1]))
        for system in systems
        if is_contender(system[0])
        and system[0].normalize
        and getattr(system[0], field) == one
        and (replace(system[0], **changed), system[1]) in set(systems)
    ]


def is_contender(variant: Variant) -> bool:
    """Whether a variant is of no floor, and its features are scaled if its model declares that.

    Examples
    --------
    >>> is_contender(Variant("duration", "none")), is_contender(Variant("freesound", "none", scale=False))
    (False, False)
    """
    spec = models.spec(variant.model)
    return not spec.is_baseline and variant.scale == spec.scaled


def ranks_like(system: System) -> System:
    """The same for systems whose rankings are the same, but for rounding: one that stands for them.

    On vectors of unit length, be it by the input of PCA for want of PCA, all exact searches rank alike, and
    cosine ranks as if they had it.

    Examples
    --------
    >>> ranks_like((Variant("aisfx", normalize=False), "mcss")) == (Variant("aisfx"), "nns")
    True
    """
    variant, search = system
    if not parse(search).is_exact:
        return system
    if variant.n_components is None and variant.pre_normalize:
        variant = replace(variant, normalize=True, pre_normalize=False)
    if search == "mcss":
        variant = replace(variant, normalize=True)
    return variant, "nns" if variant.normalize else search


def distinct(pairs: Pairs) -> Pairs:
    """Pairs of unlike rankings, and of those that compare the same two rankings the first."""
    kept: dict[tuple[System, System], tuple[System, System]] = {}
    for a, b in pairs:
        kept.setdefault((ranks_like(a), ranks_like(b)), (a, b))
    return [pair for (a, b), pair in kept.items() if a != b]


def by_modality(one: str, other: str) -> Callable[[Sequence[System]], Pairs]:
    """Every pair of a model of one modality with one of the other."""

    def of(modality: str, systems: Sequence[System]) -> list[System]:
        return [system for system in systems if models.spec(system[0].model).modality == modality]

    return lambda systems: [(a, b) for a in of(one, systems) for b in of(other, systems)]


PROCESSING = (
    Claim(
        "Cosine finds more than Euclidean distance on raw embeddings, or as much.",
        "not less",
        by_search("mcss", "nns"),
    ),
    Claim(
        "Euclidean distance finds more than the inner product on raw embeddings.",
        "more",
        by_search("nns", "mips"),
    ),
    Claim("Maximum and mean over time find as much.", "as much", by_field("aggregation", "max", "mean")),
    Claim("Median and mean over time find as much.", "as much", by_field("aggregation", "median", "mean")),
    Claim("PCA to 100 dimensions costs nothing.", "not less", by_field("n_components", 100, None)),
)
"""Of how embeddings are processed and searched: tested on all systems."""
MODALITIES = (
    Claim(
        "Models of audio and language find more than models of audio alone.", "more", by_modality("A&L", "A")
    ),
    Claim(
        "Models of audio alone find more than models of audio and images.", "more", by_modality("A", "A&I")
    ),
)
"""Of what a model was trained on: tested on each model's best system."""


def check(
    claims: Sequence[Claim],
    systems: Sequence[System],
    scores_of: Callable[[System], np.ndarray],
    label: np.ndarray,
    query: np.ndarray,
    **options: Any,
) -> pd.DataFrame:
    """Effect, interval and verdict of each claim.

    Parameters
    ----------
    claims : sequence of Claim
    systems : sequence of (Variant, str)
        Those that were run.
    scores_of : callable
        System to the AP@N of every class-wise query: float [n_queries], nan where it has no answer.
    label, query : np.ndarray [shape=(n_queries,), dtype=int]
        Class and clip of each of these queries.
    **options
        See `paired.macro_difference`.

    Returns
    -------
    pd.DataFrame
        claim, pairs (how many distinct ones), effect, ci_low, ci_high, verdict ("holds", "fails", "open", or
        "not tested" where no pair was run), and the result in words.
    """
    rows = []
    for claim in claims:
        pairs = distinct(claim.pairs(systems))
        if not pairs:
            rows.append(
                [claim.words, 0, np.nan, np.nan, np.nan, "not tested", "No pair of systems tests it here."]
            )
            continue
        first, second = (_mean(list(arm), scores_of) for arm in zip(*pairs, strict=True))
        found = paired.macro_difference(first, second, label, query, **options)
        verdict = judge(claim.says, found.ci_low, found.ci_high)
        effect = found.difference, found.ci_low, found.ci_high
        rows.append(
            [claim.words, len(pairs), *effect, verdict, sentence(claim.says, verdict, *effect, len(pairs))]
        )
    columns = ["claim", "pairs", "effect", "ci_low", "ci_high", "verdict", "in words"]
    return pd.DataFrame(rows, columns=columns)


def _mean(systems: Sequence[System], scores_of: Callable[[System], np.ndarray]) -> np.ndarray:
    """Mean of the systems' scores, query by query; a system in several pairs counts as often."""
    total: np.ndarray | float = 0.0
    counts: Mapping[System, int] = pd.Series(systems).value_counts().to_dict()
    for system, count in counts.items():
        total = total + count * scores_of(system)
    return np.asarray(total) / len(systems)


def judge(says: str, low: float, high: float) -> str:
    """Whether an interval of the effect bears a claim out.

    Examples
    --------
    >>> judge("more", 0.01, 0.03), judge("more", -0.01, 0.03), judge("as much", -0.01, 0.01)
    ('holds', 'open', 'holds')
    """
    if not np.isfinite([low, high]).all():
        return "open"
    ends = {"more": (0.0, np.inf), "as much": (-LITTLE, LITTLE), "not less": (-LITTLE, np.inf)}
    lowest, highest = ends[says]
    if lowest <= low and high <= highest:
        return "holds"
    return "fails" if high < lowest or low > highest else "open"


def sentence(says: str, verdict: str, effect: float, low: float, high: float, n_pairs: int) -> str:
    """The result of a claim, for a reader who skips the numbers' columns."""
    asks = {"more": "above 0", "as much": f"within {LITTLE} of 0", "not less": f"above -{LITTLE}"}[says]
    ends = {"holds": "It is", "fails": "It is not", "open": "That is open"}[verdict]
    interval = (
        f"[{low:+.3f}, {high:+.3f}]" if np.isfinite([low, high]).all() else "(too few units for an interval)"
    )
    pairs = "1 pair" if n_pairs == 1 else f"{n_pairs} pairs"
    return f"{effect:+.3f} {interval} over {pairs}, where the claim wants {asks}. {ends}."
