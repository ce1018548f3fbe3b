"""Grids: the systems that an experiment compares, in a short YAML file."""

import difflib
import fnmatch
import functools
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from sss_lib import models
from sss_lib.models.spec import LONG, SHORT
from sss_lib.processing import AGGREGATIONS
from sss_lib.search import SEARCHES

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
RULE = ("model", "aggregation", "n_components", "normalize", "pre_normalize", "scale", "search")
"""What a rule of `include` and `exclude` can speak of."""


@dataclass(frozen=True)
class Variant:
    """How clip embeddings are made: a model and its processing.

    Attributes
    ----------
    model : str
    aggregation : str
        "mean", "max", "median" or "none".
    n_components : int or None
        Of PCA; None for no PCA.
    normalize : bool
        Whether the result has unit length.
    pre_normalize : bool
        Whether the input of PCA has, as in the CBMI 2024 code.
    scale : bool, optional
        Whether every feature is scaled to [0, 1] first; by default if the model declares it.

    Examples
    --------
    >>> Variant("aisfx", "mean", 100).name
    'aisfx-mean-pca100-l2'
    """

    model: str
    aggregation: str = "mean"
    n_components: int | None = None
    normalize: bool = True
    pre_normalize: bool = False
    scale: bool | None = None

    def __post_init__(self):
        if self.scale is None:
            object.__setattr__(self, "scale", models.spec(self.model).scaled)

    @property
    def name(self) -> str:
        """What its files are called."""
        pca = "none" if self.n_components is None else self.n_components
        parts = [
            models.file_name(self.model),
            self.aggregation,
            *(["minmax"] if self.scale else []),
            f"pca{pca}",
        ]
        return "-".join(
            [*parts, "l2" if self.normalize else "raw", *(["prel2"] if self.pre_normalize else [])]
        )

    def parameters(self) -> dict:
        """Its fields, as an artefact records them."""
        return dict(vars(self))


@dataclass(frozen=True)
class Grid:
    """An experiment: every combination of these is run.

    A model takes only what suits it: one embedding a clip needs no aggregation, scaling is for models that
    declare it, and PCA can't have more components than there are dimensions or clips. `systems` says what is
    left out and why. How audio is prepared (`long_audio`, `short_audio`, `preprocessing`) is part of a
    model's name, as in "clap-2023+truncate": `available` spells these out.

    `include` and `exclude` are rules: mappings of a word of `RULE` to a value or a list of values, models
    with wildcards. A system is run if some rule of `include`, where there are any, fits it, and none of
    `exclude`.
    """

    models: tuple[str, ...]
    datasets: tuple[str, ...] = ("mini",)
    long_audio: tuple[str, ...] = ("default",)
    short_audio: tuple[str, ...] = ("default",)
    preprocessing: tuple[str, ...] = ("standard",)
    aggregations: tuple[str, ...] = ("mean",)
    n_components: tuple[int | None, ...] = (None,)
    normalize: tuple[bool, ...] = (True,)
    pre_normalize: tuple[bool, ...] = (False,)
    scale: tuple[bool, ...] = (True,)
    searches: tuple[str, ...] = ("nns",)
    cutoffs: tuple[int, ...] = (15, 150)
    include: tuple[Mapping[str, object], ...] = ()
    exclude: tuple[Mapping[str, object], ...] = ()

    def __post_init__(self):
        known = {
            "long_audio": ["default", *LONG],
            "short_audio": ["default", *SHORT],
            "preprocessing": ["standard", "paper"],
            "aggregations": AGGREGATIONS,
            "searches": list(SEARCHES),
        }
        files: dict[str, str] = {}
        for name in dict.fromkeys(self.models):
            models.spec(name)
            other = files.setdefault(models.file_name(name), name)
            if other != name:
                raise ValueError(
                    f"models {other!r} and {name!r} of the grid would have the same files, called "
                    f"{models.file_name(name)}: rename one of them, or run them in two data folders"
                )
        for key, words in known.items():
            for value in getattr(self, key):
                require_known(value, words, f"{key} of the grid")
        numbers = {"cutoffs": self.cutoffs, "n_components": [n for n in self.n_components if n is not None]}
        for key, values in numbers.items():
            if any(type(value) is not int or value < 1 for value in values):
                raise ValueError(f"{key}={list(values)} of the grid: give whole numbers from 1")
        for key in ("normalize", "pre_normalize", "scale"):
            if not all(isinstance(value, bool) for value in getattr(self, key)):
                raise ValueError(f"{key}={list(getattr(self, key))} of the grid: give true or false")
        for key in (one.name for one in fields(self)):
            if not getattr(self, key) and key not in ("include", "exclude"):
                raise ValueError(f"{key} of the grid is empty: give at least one value")
        for rule in (*self.include, *self.exclude):
            if not isinstance(rule, Mapping) or not rule:
                raise ValueError(f"rule {rule!r} of the grid is not a mapping: give, say, model: aisfx")
            for word in rule:
                require_known(word, RULE, "the words of a rule of the grid")

    def available(self) -> tuple["Grid", list[str]]:
        """Grid of the models that can run, in every preparation that suits them, and what is left out why."""
        there: dict[str, None] = {}
        left_out: dict[str, None] = {}
        ways = list(itertools.product(self.long_audio, self.short_audio, self.preprocessing))
        for name, way in itertools.product(self.models, ways):
            words = [word for word in way if word not in ("default", "standard")]
            if words and models.is_outside(name):
                left_out[f"{name} prepares its audio itself: no {', '.join(words)}"] = None
                continue
            try:
                row = models.spec("+".join([name, *words]))
            except ValueError as error:  # the way means nothing for this model
                left_out[str(error)] = None
                continue
            if library := row.missing():
                left_out[f"{name} needs {library}, which is not installed"] = None
            else:
                there[name if models.is_outside(name) else row.name] = None
        if not there:
            raise ValueError(f"no model of the grid can run: {'; '.join(left_out)}")
        spelt_out = {"long_audio": ("default",), "short_audio": ("default",), "preprocessing": ("standard",)}
        return replace(self, models=tuple(there), **spelt_out), list(left_out)

    def systems(
        self, n_clips: Mapping[str, int] | None = None
    ) -> tuple[list[tuple[Variant, str]], list[str]]:
        """Variants with their searches to run, and a sentence on each combination that is left out.

        Parameters
        ----------
        n_clips : mapping of str to int, optional
            How many clips each model has embedded.
        """
        chosen: dict[tuple[Variant, str], None] = {}
        left_out: dict[str, dict[object, None]] = {}
        for name in self.models:
            spec, n = models.spec(name), (n_clips or {}).get(name)
            hows = [how for how in self.aggregations if how in spec.aggregations]
            hows = hows if spec.hop_s else list(spec.aggregations)
            if not hows:
                left_out[f"{name} has several frames a clip: no aggregation"] = dict.fromkeys(
                    self.aggregations
                )
            scales = self.scale if spec.scaled else (False,)
            ways = itertools.product(scales, self.n_components, self.normalize, self.pre_normalize)
            for scale, pca, l2, pre in ways:
                if pca and pca > spec.dim:
                    left_out.setdefault(f"{name} has {spec.dim} dimensions: no PCA", {})[pca] = None
                elif pca and n and pca > n:
                    left_out.setdefault(f"{name} has embedded {n} clips: no PCA", {})[pca] = None
                else:
                    variants = [Variant(name, how, pca, l2, pre, scale) for how in hows]
                    chosen.update(dict.fromkeys(itertools.product(variants, self.searches)))
        kept = [system for system in chosen if self._keeps(*system)]
        sentences = [f"{why} {', '.join(map(str, values))}" for why, values in left_out.items()]
        if len(kept) < len(chosen):
            sentences.append(f"{len(chosen) - len(kept)} systems, by the rules include and exclude")
        if not kept:
            raise ValueError(f"nothing is left of the grid: {'; '.join(sentences)}")
        return kept, sentences

    def variants(self, n_clips: Mapping[str, int] | None = None) -> tuple[list[Variant], list[str]]:
        """Variants to run, and a sentence on each combination that is left out; see `systems`."""
        found, left_out = self.systems(n_clips)
        return list(dict.fromkeys(variant for variant, _ in found)), left_out

    def _keeps(self, variant: Variant, search: str) -> bool:
        if not (self.include or self.exclude):
            return True
        system = {**variant.parameters(), "search": search}
        fits = functools.partial(_fits, system)
        return (not self.include or any(map(fits, self.include))) and not any(map(fits, self.exclude))


def _fits(system: Mapping[str, object], rule: Mapping[str, object]) -> bool:
    """Whether every word of a rule has one of its values in a system."""
    return all(
        any(
            fnmatch.fnmatchcase(system["model"], str(value)) if word == "model" else system[word] == value
            for value in (values if isinstance(values, list) else [values])
        )
        for word, values in rule.items()
    )


def read_grid(path: str | Path) -> Grid:
    """Grid from a YAML file whose keys are the fields of `Grid`; paths of models are from its folder.

    Raises
    ------
    ValueError
        If a key or a value is unknown; the message has the nearest right word.
    """
    import yaml

    path = Path(path)
    if not path.is_file():
        raise ValueError(f"grid {path} does not exist: the grids are in {NOTEBOOKS / 'grids'}")
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not plain YAML: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not a mapping: give keys such as 'models: [aisfx]'")
    keys = [f.name for f in fields(Grid)]
    for key in content:
        require_known(key, keys, f"the keys of {path.name}")
    if "models" not in content:
        raise ValueError(f"{path} has no 'models': name at least one of {', '.join(models.catalogue())}")
    as_tuples = {k: tuple(v) if isinstance(v, list) else (v,) for k, v in content.items()}
    here = path.absolute().parent
    as_tuples["models"] = tuple(models.absolute(str(name), here) for name in as_tuples["models"])
    return Grid(**as_tuples)


def require_known(value: object, known: Iterable, what: str) -> None:
    """Raise ValueError with the nearest known word if a value is not among the known ones."""
    known = [str(k) for k in known]
    if str(value) not in known:
        near = difflib.get_close_matches(str(value), known, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"{value!r} is not among {what}: {hint}They are {', '.join(known)}")
