"""The study's claims, and an answer to its open question, tested on any collection.

A claim compares two arms of systems, pair by pair; the systems of a pair differ in one setting. The effect is
the mean over the pairs of the difference in macro MAP@N. Its interval resamples the queries, with the same
draws for both arms.

All exact searches rank vectors of unit length alike, as |x - y|^2 = 2 - 2 <x, y>. So pairs that compare the
same two rankings count once, and a pair of equal rankings not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sss_lib.evaluation import paired
from sss_lib.experiment.variant import Variant
from sss_lib.models import registry as models
from sss_lib.search.naming import parse

System = tuple[Variant, str]
Pairs = list[tuple[System, System]]
NEGLIGIBLE = 0.02
"""Equivalence margin: the smallest difference of interest in macro MAP@N, two units of the last digit that
the study prints."""


@dataclass(frozen=True)
class Claim:
    """One claim of the study about two arms of systems.

    Attributes
    ----------
    words : str
        The claim as a sentence.
    says : str
        That the first arm finds "more" than the second, "as much" or "not less".
    pairs : callable
        From the systems that ran to pairs of them, one of each arm.
    """

    words: str
    says: str
    pairs: Callable[[Sequence[System]], Pairs]


def by_search(one: str, other: str) -> Callable[[Sequence[System]], Pairs]:
    """Pairs of searches over the same embeddings of a contender."""
    return lambda systems: [
        ((variant, one), (variant, other))
        for variant in dict.fromkeys(variant for variant, _ in systems)
        if is_contender(variant) and {(variant, one), (variant, other)} <= set(systems)
    ]


def by_fields(
    one: Mapping[str, Any], other: Mapping[str, Any], search: str | None = None
) -> Callable[[Sequence[System]], Pairs]:
    """Pairs of contenders with some fields, and with others instead, by the same search; any, or one."""

    def pairs(systems: Sequence[System]) -> Pairs:
        available = set(systems)
        found = [
            (system, (replace(system[0], **other), system[1]))
            for system in systems
            if is_contender(system[0])
            and search in (None, system[1])
            and all(getattr(system[0], field) == value for field, value in one.items())
        ]
        return [pair for pair in found if pair[1] in available]

    return pairs


def by_aggregation(one: str, other: str) -> Callable[[Sequence[System]], Pairs]:
    """Pairs of contenders that differ in their aggregation, with vectors of unit length."""
    return by_fields({"aggregation": one, "normalize": True}, {"aggregation": other})


def is_contender(variant: Variant) -> bool:
    """Whether a variant is no baseline, and its features are scaled exactly if its model asks for that.

    Examples
    --------
    >>> is_contender(Variant("duration", "none")), is_contender(Variant("freesound", "none", scale=False))
    (False, False)
    """
    spec = models.spec(variant.model)
    return not spec.is_baseline and variant.scale == spec.scaled


def ranks_like(system: System) -> System:
    """Representative of the systems that give the same rankings, up to rounding.

    All exact searches rank vectors of unit length alike, and cosine ranks as if vectors had unit length.
    Without a transform or PCA, unit length before it is unit length after it. Centring moves no distance.

    Examples
    --------
    >>> ranks_like((Variant("aisfx", normalize=False), "mcss")) == (Variant("aisfx"), "nns")
    True
    """
    variant, search = system
    if not parse(search).is_plain:
        return system
    if search == "mcss":
        variant = replace(variant, normalize=True)
    if variant.normalize:
        search = "nns"
    elif search == "nns" and variant.transform == "center":
        variant = replace(variant, transform="none")
    if variant.n_components is None and variant.transform == "none" and variant.pre_normalize:
        return replace(variant, normalize=True, pre_normalize=False), "nns"
    return variant, search


def distinct(pairs: Pairs) -> Pairs:
    """Pairs of different rankings; of those that compare the same two rankings, the first."""
    kept: dict[tuple[System, System], tuple[System, System]] = {}
    for a, b in pairs:
        kept.setdefault((ranks_like(a), ranks_like(b)), (a, b))
    return [pair for (a, b), pair in kept.items() if a != b]


def by_modality(one: str, other: str) -> Callable[[Sequence[System]], Pairs]:
    """Every pair of a model of one modality with one of the other."""

    def of(modality: str, systems: Sequence[System]) -> list[System]:
        return [system for system in systems if models.spec(system[0].model).modality == modality]

    return lambda systems: [(a, b) for a in of(one, systems) for b in of(other, systems)]


PCA_100 = {"n_components": 100, "transform": "none"}
CENTRED = {"n_components": None, "transform": "center"}
RAW = {"normalize": False}
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
    Claim("Maximum and mean over time find as much.", "as much", by_aggregation("max", "mean")),
    Claim("Median and mean over time find as much.", "as much", by_aggregation("median", "mean")),
    # PCA centres. Against embeddings as they are, it would be praised or blamed for that.
    Claim(
        "PCA to 100 dimensions costs nothing: beside centring alone.", "not less", by_fields(PCA_100, CENTRED)
    ),
    Claim(
        "The inner product finds more on raw embeddings once they are centred.",
        "more",
        by_fields(CENTRED | RAW, {"transform": "none"}, "mips"),
    ),
    Claim(
        "By the inner product on raw embeddings, PCA to 100 dimensions and centring alone find as much.",
        "as much",
        by_fields(PCA_100 | RAW, CENTRED, "mips"),
    ),
)
"""Claims about processing and search, tested on all systems. The last two answer the question that the study
leaves open: why the inner product finds less without PCA."""
MODALITIES = (
    Claim(
        "Models of audio and language find more than models of audio alone.", "more", by_modality("A&L", "A")
    ),
    Claim(
        "Models of audio alone find more than models of audio and images.", "more", by_modality("A", "A&I")
    ),
)
"""Claims about training data, tested on each model's best system."""


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
        Those that ran.
    scores_of : callable
        From a system to the AP@N of every class-wise query: float [n_queries], nan without a relevant clip.
    label, query : np.ndarray [shape=(n_queries,), dtype=int]
        Class and clip of each query.
    **options
        See `paired.macro_difference`.

    Returns
    -------
    pd.DataFrame
        claim, pairs (number of distinct ones), effect, ci_low, ci_high, verdict ("holds", "fails", "open", or
        "not tested" if no pair ran), and the result in words.
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
    """Mean score of each query over the systems; a system of several pairs counts once for each."""
    total: np.ndarray | float = 0.0
    counts: Mapping[System, int] = pd.Series(systems).value_counts().to_dict()
    for system, count in counts.items():
        total = total + count * scores_of(system)
    return np.asarray(total) / len(systems)


def judge(says: str, low: float, high: float) -> str:
    """Verdict on a claim: it holds if the whole interval of the effect lies where the claim puts it.

    "more" is a one-sided test against 0; "as much" and "not less" are tests of equivalence and of
    non-inferiority with the margin `NEGLIGIBLE`.

    Examples
    --------
    >>> judge("more", 0.01, 0.03), judge("more", -0.01, 0.03), judge("as much", -0.01, 0.01)
    ('holds', 'open', 'holds')
    """
    if not np.isfinite([low, high]).all():
        return "open"
    ends = {"more": (0.0, np.inf), "as much": (-NEGLIGIBLE, NEGLIGIBLE), "not less": (-NEGLIGIBLE, np.inf)}
    lowest, highest = ends[says]
    if lowest <= low and high <= highest:
        return "holds"
    return "fails" if high < lowest or low > highest else "open"


def sentence(says: str, verdict: str, effect: float, low: float, high: float, n_pairs: int) -> str:
    """The result of a claim in words."""
    asks = {"more": "above 0", "as much": f"within {NEGLIGIBLE} of 0", "not less": f"above -{NEGLIGIBLE}"}[
        says
    ]
    ends = {"holds": "It is", "fails": "It is not", "open": "That is open"}[verdict]
    interval = (
        f"[{low:+.3f}, {high:+.3f}]" if np.isfinite([low, high]).all() else "(too few units for an interval)"
    )
    pairs = "1 pair" if n_pairs == 1 else f"{n_pairs} pairs"
    return f"{effect:+.3f} {interval} over {pairs}, where the claim wants {asks}. {ends}."
