"""Rows of the catalogue: an audio representation, and how long and short clips are fitted to it."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sss_lib.io import audio, windowing
from sss_lib.io.names import require_known
from sss_lib.models.weights.file import Weights, digest

LONG = {
    "windows": "windows from the start, the last one ending where the clip ends",
    "spread": "three windows: at the start, in the middle and at the end",
    "truncate": "the first window only",
    "crop": "one window, at a place drawn with a seed from the clip itself",
}
"""Treatment of a clip longer than the network's window."""
SHORT = {
    "repeat": "the clip is repeated until the window is full",
    "repeatpad": "the clip is repeated as often as it fits whole, then zeros fill the window",
    "pad": "zeros fill the window",
}
"""Treatment of a clip shorter than the network's window."""
GRADES = {
    "real weights": "published weights gave here what was recorded of published code with them",
    "seeded weights": "drawn weights gave here what published code, or what is named, made of them",
    "stand-in graph": "only the names and shapes of what goes in and out are those published",
}
"""How far a row with weights was verified, best first."""
EXTRAS = {"transformers": "torch", "ai_edge_litert": "birdnet"}
"""The extra that installs a library, where it has another name."""
WORDS = (*LONG, *SHORT, "paper", "half", "default", "standard")
"""What can stand behind a model's name: see `ModelSpec.prepared`."""


@dataclass(frozen=True)
class ModelSpec:
    """One audio representation: what it is, and what a run needs to know of it.

    Attributes
    ----------
    name, display_name : str
    variation_of : str
        What several rows are variations of, such as OpenL3 with its bands, contents and dimensions; "" for a
        model without variations.
    loader : str
        Module of `sss_lib.models.loaders` whose `load(spec, device)` gives the network.
    rate_hz : int
        Sample rate of the waveform it takes.
    dim : int
        Size of one embedding.
    hop_s : float or None
        Seconds between frame embeddings; None where a clip has one embedding.
    modality : str
        What it was trained on: A audio, I images, L language; "-" for no training.
    objective, n_parameters, data_size : str
        Training objective, parameters and training clips, as the paper's Table II prints them; or "-".
    colour : str
        Of its bars and points in every figure.
    citation : str
    trained_on : str
        The training data's names; what a model was trained on first counts as well.
    verified : str
        Its grade, one of `GRADES` if it has weights, and the reference that it was compared with, in words.
    requires : str
        The library that its loader needs, if any.
    weights : Weights or None
    options : mapping
        Parameters of its loader, such as the names of a graph's nodes.
    window_s : float or None
        Seconds of audio that the network takes at once; None where it takes any length.
    long, short : str
        What becomes of clips longer and shorter than the window, by default: see `LONG` and `SHORT`.
    gain_db : float
        Applied to the wave first, with clipping at full scale.
    paper : mapping
        Fields that have another value with the word "paper": what the 2024 study computed.
    paper_differs : str
        The same in words.
    half : bool
        A GPU computes in half precision.
    scaled : bool
        Processing scales each of its features to [0, 1] over the collection first.
    network : callable or None
        Of a model that `models.register` added: wave to frames.
    is_baseline : bool
        Any representation must beat it: in figures it is shown apart from the systems compared.
    is_given : bool
        It is what others have computed: asked for by a clip's id, not by its audio.
    has_text : bool
        It can embed words, too: its loader has a `text_tower`.
    tokenizer : Weights or None
        File that tells how words become numbers, where its text tower needs one of its own.
    """

    name: str
    display_name: str
    loader: str
    rate_hz: int
    dim: int
    hop_s: float | None
    colour: str
    citation: str
    modality: str = "-"
    objective: str = "-"
    n_parameters: str = "-"
    data_size: str = "-"
    variation_of: str = ""
    trained_on: str = "-"
    verified: str = ""
    requires: str = ""
    weights: Weights | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    window_s: float | None = None
    long: str = "windows"
    short: str = "repeat"
    gain_db: float = 0.0
    paper: Mapping[str, Any] = field(default_factory=dict)
    paper_differs: str = ""
    half: bool = False
    scaled: bool = False
    is_baseline: bool = False
    has_text: bool = False
    tokenizer: Weights | None = None
    is_given: bool = False
    network: Any = field(default=None, repr=False)

    @property
    def series(self) -> str:
        """Name of the model that it is a variation of; its displayed name if of none."""
        return self.variation_of or self.display_name

    @property
    def aggregations(self) -> tuple[str, ...]:
        """The ways to make one embedding of a clip's frames."""
        return ("mean", "max", "median") if self.hop_s else ("none",)

    @property
    def window_size(self) -> int:
        """Samples that the network takes at once; a ValueError where it takes any length."""
        if self.window_s is None:
            raise ValueError(f"{self.name} takes clips of any length: it has no window")
        return round(self.window_s * self.rate_hz)

    def windows(self, wave: np.ndarray) -> np.ndarray:
        """Windows of a wave that the network takes one by one: [n_windows, window_size]."""
        return windowing.windows(wave, self.window_size, long=self.long, short=self.short)

    @property
    def needed_weights(self) -> Weights:
        """Its weights; a ValueError where its row of the catalogue has none."""
        if self.weights is None:
            raise ValueError(f"{self.name} has no weights: name them in its row of the catalogue")
        return self.weights

    def has_seen(self, collection: str) -> bool:
        """Whether clips of a collection are among its training data, by the collection's name."""
        return collection in self.trained_on

    @property
    def terms(self) -> str:
        """Licence of its weights, whether that forbids commercial use, and that of Essentia if it needs that.

        Examples
        --------
        >>> from sss_lib.models import registry
        >>> [registry.spec(name).terms for name in ("yamnet", "vggish", "logmel")]
        ['Apache-2.0', 'CC BY-NC-SA 4.0: not commercial; by Essentia: AGPL-3.0', 'no weights']
        """
        if of_parts := self.options.get("terms"):
            return of_parts
        licence = self.weights.licence if self.weights else "no weights"
        forbids = ": not commercial" if self.weights and self.weights.non_commercial else ""
        return f"{licence}{forbids}{'; by Essentia: AGPL-3.0' if self.requires == 'essentia' else ''}"

    @property
    def extra(self) -> str:
        """The extra that installs the library that it needs."""
        return EXTRAS.get(self.requires, self.requires)

    def missing(self) -> str:
        """Name of the library that it needs and that isn't installed; "" if it can run."""
        return "" if not self.requires or importlib.util.find_spec(self.requires) else self.requires

    def parameters(self) -> dict:
        """What an artefact made with it records."""
        as_it_is = ("rate_hz", "dim", "hop_s", "window_s", "long", "short", "gain_db", "half")
        return {
            "model": self.name,
            "weights": digest(self.weights) if self.weights else None,
            **{key: getattr(self, key) for key in as_it_is},
            "max_duration_s": audio.MAX_DURATION_S,
            "options": dict(self.options),
        }

    def prepared(self, *words: str) -> "ModelSpec":
        """Return the model with another preparation of audio, under a name that says so.

        Words that lead to the same computation give the same name, in any order.

        Parameters
        ----------
        *words : str
            A key of `LONG`, a key of `SHORT`, "paper" for what the 2024 study computed, or "half" for half
            precision on a GPU. What is so already, "default" and "standard" add nothing.

        Raises
        ------
        ValueError
            If a word is unknown, means nothing for this model as the others prepare it, or contradicts one.

        Examples
        --------
        >>> from sss_lib import models
        >>> models.spec("vggish").prepared("paper").name
        'vggish+paper'
        """
        if not words:
            return self
        for word in words:
            require_known(word, WORDS, f"the preparations of {self.name}")
        if "paper" in words and not self.paper:
            raise ValueError(f"{self.name} has no other preparation for the paper: leave out 'paper'")
        new = replace(self, **self.paper) if "paper" in words else self
        says = dict.fromkeys(self.paper, "paper") if "paper" in words else {}
        for word in words:
            key = "long" if word in LONG else "short" if word in SHORT else ""
            if key and new.window_s is None:
                how = " as the paper prepares it" if self.window_s else ""
                raise ValueError(
                    f"{self.name} takes clips of any length{how}: {word!r} means nothing for it, leave it out"
                )
            if key and key in says and getattr(new, key) != word:
                raise ValueError(
                    f"{word!r} of {self.name} contradicts {says[key]!r}, which has its own way with {key} "
                    "clips: leave out one of them"
                )
            if key:
                changed: dict[str, Any] = {key: word}
                new, says[key] = replace(new, **changed), says.get(key, word)
        new = replace(new, half=True) if "half" in words else new
        return new._named_after(self)

    def _named_after(self, plain: "ModelSpec") -> "ModelSpec":
        """Return this model, named after the unprepared one and the words that differ from it."""
        as_paper = replace(plain, **plain.paper)
        like_paper = as_paper != plain and all(
            getattr(self, key) == value for key, value in plain.paper.items()
        )
        base = as_paper if like_paper else plain
        policies = [(getattr(self, key), getattr(base, key)) for key in ("long", "short")]
        telling = [here for here, there in policies if here != there]
        telling += ["paper"] if like_paper else []
        telling += ["half"] if self.half and not plain.half else []
        if not telling:
            return plain
        name = "+".join([plain.name, *telling])
        words = ", ".join(telling)
        return replace(
            self, name=name, display_name=f"{plain.display_name} ({words})", variation_of=plain.series
        )
