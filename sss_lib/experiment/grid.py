"""Grids: the systems that an experiment compares, in a short YAML file."""

import fnmatch
import functools
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from sss_lib.evaluation import protocols
from sss_lib.experiment import rules
from sss_lib.experiment.rules import suits, takes_queries
from sss_lib.experiment.variant import Variant
from sss_lib.io.names import composed, file_name_flaw, require_known
from sss_lib.io.plain_yaml import read_mapping
from sss_lib.models import naming
from sss_lib.models import registry as models
from sss_lib.models.levels import has_times
from sss_lib.models.loaders import hear
from sss_lib.models.naming import FUSION, HEAR, RANKING
from sss_lib.models.spec import LONG, SHORT
from sss_lib.processing.aggregation import AGGREGATIONS, n_values, selection
from sss_lib.processing.transforms import n_removed
from sss_lib.search import approximate
from sss_lib.search import naming as methods

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
MAIN = "mini"
"""The grid that `make run` takes by default. Its folder of figures has the dataset's name alone."""
OPTIONAL = ("include", "exclude", "fusions", "queries", "ways")
"""Keys that may be empty."""


@dataclass(frozen=True)
class Grid:
    """An experiment: every combination of these is run.

    A model takes only what suits it: one embedding a clip needs no aggregation, scaling is for models that
    declare it, PCA can't have more components than there are dimensions or clips, whitening needs more clips
    than dimensions, and an approximate search as many as it learns centroids. `systems` says what is left out
    and why. How audio is prepared (`long_audio`, `short_audio`, `preprocessing`) is part of a model's name,
    as in "clap-2023+truncate": `available` spells these out.

    Every system is scored under every protocol; `protocol` is the one that the tables and figures are of.

    `include` and `exclude` are rules: mappings of a word of `rules.RULE` to a value or a list of values,
    models with wildcards. A system is run if some rule of `include`, where there are any, fits it, and none
    of `exclude`.

    `fit_on` names collections whose clips each transform and PCA are fitted on; None for the clips that are
    searched. A transform fitted elsewhere is called, say, "whiten@esc10". `fusions` are mappings with how (of
    `fusion.FUSIONS`), models of the grid, and the search of each, by default the grid's first. A fusion is a
    model of its own, "fusion:zscore:mcss:yamnet&aisfx", whose parts are processed alike; its search is
    `given`.

    `queries` names collections, or splits, whose clips ask the others besides: see `takes_queries`. `ways`
    are those of `evaluation.ways`, each beside the variants that it `suits`. Neither makes a system.
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
    transforms: tuple[str, ...] = ("none",)
    fit_on: tuple[str | None, ...] = (None,)
    fusions: tuple[Mapping[str, Any], ...] = ()
    searches: tuple[str, ...] = ("nns",)
    cutoffs: tuple[int, ...] = (15, 150)
    protocol: str = "standard"
    name: str = ""
    queries: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    include: tuple[Mapping[str, Any], ...] = ()
    exclude: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        known = {
            "long_audio": ["default", *LONG],
            "short_audio": ["default", *SHORT],
            "preprocessing": ["standard", "paper"],
            "aggregations": AGGREGATIONS,
        }
        for key in ("models", "searches", "datasets"):
            _require_names(getattr(self, key), f"{key} of the grid")
        for name in self.searches:
            methods.parse(name)
        for name in self.transforms:
            n_removed(name)
        files: dict[str, str] = {}
        other: object
        for name in dict.fromkeys(self.models):
            models.spec(name)
            other = files.setdefault(models.file_name(name), name)
            if other != name:
                raise ValueError(
                    f"models {other!r} and {name!r} of the grid would have the same files, called "
                    f"{models.file_name(name)}: they are the same, leave out one"
                )
        for key, words in known.items():
            for value in getattr(self, key):
                require_known(value, words, f"{key} of the grid")
        require_known(self.protocol, protocols.NAMED, "the protocols")
        numbers = {"cutoffs": self.cutoffs, "n_components": [n for n in self.n_components if n is not None]}
        for key, values in numbers.items():
            if any(type(value) is not int or not 1 <= value < 2**31 for value in values):
                raise ValueError(
                    f"{key}={list(values)} of the grid: give whole numbers from 1 to {2**31 - 1:,}"
                )
        for key in ("normalize", "pre_normalize", "scale"):
            if not all(isinstance(value, bool) for value in getattr(self, key)):
                raise ValueError(f"{key}={list(getattr(self, key))} of the grid: give true or false")
        for key in (one.name for one in fields(self) if one.name not in ("name", "protocol")):
            if not getattr(self, key) and key not in OPTIONAL:
                raise ValueError(f"{key} of the grid is empty: give at least one value")
        for other in self.fit_on:
            if other is not None and (not isinstance(other, str) or file_name_flaw(other)):
                raise ValueError(
                    f"fit_on={other!r} of the grid names no collection: give a name in quotes, or null"
                )
        taught_by = [rules.parse_way(name).part or None for name in self.ways]
        for other in (*self.queries, *filter(None, taught_by)):
            if not isinstance(other, str) or file_name_flaw(other):
                raise ValueError(
                    f"{other!r} of the grid can name no collection or split: write one, in quotes"
                )
        for fusion in self.fusions:
            rules.require_fusion(fusion, self.searches)
        _ = self.fused  # refuses what is no fusion
        for rule in (*self.include, *self.exclude):
            rules.require_rule(rule)

    @property
    def fused(self) -> tuple[str, ...]:
        """Names of its fusions as models."""
        return tuple(
            models.canonical(
                f"{FUSION}{one['how']}:{one.get('search', self.searches[0])}:{'&'.join(one['models'])}"
            )
            for one in self.fusions
        )

    @property
    def _steps(self) -> list[str]:
        """Each transform, fitted on each collection."""
        ways = itertools.product(self.transforms, self.fit_on)
        return [f"{transform}@{name}" if name else transform for transform, name in ways]

    def require_rules_that_fit(self) -> None:
        """Raise ValueError if a rule or a fusion names what the grid doesn't have, and so does nothing."""
        for name in itertools.chain.from_iterable(one["models"] for one in self.fusions):
            require_known(name, self.models, "the models of the grid that can be fused")
        of_grid: dict[str, tuple] = {
            "aggregation": (*self.aggregations, "none"),
            "n_components": self.n_components,
            "normalize": self.normalize,
            "pre_normalize": self.pre_normalize,
            "scale": (*self.scale, False),
            "transform": (*self._steps, "none"),
            "search": (*self.searches, methods.GIVEN),
        }
        for rule in (*self.include, *self.exclude):
            for word, values in rule.items():
                for value in values if isinstance(values, list) else [values]:
                    if word == "model":
                        plain = str(value).partition("+")[0]  # how audio is prepared is spelt out later
                        names = [name.partition("+")[0] for name in self.models]
                        if not fnmatch.filter([*names, *self.models, *self.fused], plain):
                            require_known(value, self.models, "the models of the grid that a rule can name")
                    elif not any(value == one and type(value) is type(one) for one in of_grid[word]):
                        words = [repr(one) for one in dict.fromkeys(of_grid[word])]
                        require_known(repr(value), words, f"what {word} can be in a rule of this grid")

    def available(self) -> tuple["Grid", list[str]]:
        """Grid of the searches that can run, and of the models as prepared, and what is left out why."""
        prepared: dict[tuple[str, ...], str] = {}  # by name and the words of a way
        left_out: dict[str, None] = {}
        ways = list(itertools.product(self.long_audio, self.short_audio, self.preprocessing))
        for name, way in itertools.product(self.models, ways):
            words = [word for word in way if word not in ("default", "standard")]
            way_name = "+".join([name, *words])
            try:
                row = models.spec(way_name)
            except ValueError as error:  # the way means nothing for this model
                left_out[str(error)] = None
                continue
            if library := row.missing():
                left_out[f"{name} needs {library}, which is not installed"] = None
            else:
                prepared[name, *words] = models.canonical(way_name)
        if not prepared:
            raise ValueError(f"no model of the grid can run: {'; '.join(left_out)}")
        lacking = approximate.missing()
        searches = [name for name in self.searches if not lacking or methods.parse(name).is_exact]
        if len(searches) < len(self.searches):
            left_out[f"{len(self.searches) - len(searches)} approximate searches need {lacking}"] = None
        if not searches:
            raise ValueError(f"no search of the grid can run: {'; '.join(left_out)}")
        fusions = []
        for one, way in itertools.product(self.fusions, ways):
            words = [word for word in way if word not in ("default", "standard")]
            names = [prepared.get((name, *words), prepared.get((name,), name)) for name in one["models"]]
            search = one.get("search", self.searches[0])
            if search in searches:
                fusions.append({**one, "search": search, "models": names})
        runnable = replace(
            self,
            fusions=tuple(fusions),
            models=tuple(dict.fromkeys(prepared.values())),
            searches=tuple(searches),
            long_audio=("default",),  # the names of the models say it all now
            short_audio=("default",),
            preprocessing=("standard",),
        )
        return runnable, list(left_out)

    def systems(
        self, n_clips: Mapping[str, int] | None = None
    ) -> tuple[list[tuple[Variant, str]], list[str]]:
        """Variants with their searches to run, and a sentence on each combination that is left out.

        Parameters
        ----------
        n_clips : mapping of str to int, optional
            How many clips each model has embedded, by its name; of another collection that is fitted on by,
            say, "yamnet@esc10". Without numbers none is left out for want of clips.
        """
        left_out: dict[str, dict[object, None]] = {}
        of_models = (self._of_model(name, n_clips, left_out) for name in self.models)
        chosen = dict.fromkeys(itertools.chain.from_iterable(of_models))
        kept = [system for system in chosen if self._keeps(*system)]
        for name in dict.fromkeys(self.fused):
            found = [(variant, methods.GIVEN) for variant in self._of_fusion(name, set(kept))]
            if not found:
                left_out[f"{name}, as no two of its models are processed alike here"] = {}
            chosen.update(dict.fromkeys(found))
            kept += [system for system in found if self._keeps(*system)]
        sentences = [
            f"{why} {', '.join('none' if value is None else str(value) for value in values)}".rstrip()
            for why, values in left_out.items()
        ]
        if len(kept) < len(chosen):
            sentences.append(f"{len(chosen) - len(kept)} systems, by the rules include and exclude")
        asked = {f"queries {name}" for name in self.queries if not any(takes_queries(*one) for one in kept)}
        asked |= {f"way {way}" for way in self.ways if not any(suits(variant, way) for variant, _ in kept)}
        sentences += [f"{one}, as no system of the grid suits it" for one in sorted(asked)]
        if not kept:
            raise ValueError(f"nothing is left of the grid: {'; '.join(sentences)}")
        return kept, sentences

    def _of_model(
        self, name: str, n_clips: Mapping[str, int] | None, left_out: dict[str, dict[object, None]]
    ) -> Iterator[tuple[Variant, str]]:
        """Yield the systems of a model that can be run; what can't goes into `left_out`, by the reason."""
        spec, n = models.spec(name), (n_clips or {}).get(name)
        hows = [how for how in self.aggregations if how != "none"] if spec.hop_s else ["none"]
        if not hows:
            left_out[f"{name} has several frames a clip: no aggregation"] = dict.fromkeys(self.aggregations)
        if unknown := [how for how in hows if selection(how) and not has_times(spec)]:
            left_out[f"times of frames of {name} aren't known: no aggregation"] = dict.fromkeys(unknown)
            hows = [how for how in hows if how not in unknown]
        if too_few := [s for s in self.searches if n and n < methods.parse(s).least_clips]:
            left_out[f"{name} has embedded {n} clips: no search"] = dict.fromkeys(too_few)
        searches = [search for search in self.searches if search not in too_few]
        if not name.startswith(RANKING) and {*searches} <= {methods.GIVEN}:
            if searches:
                left_out[f"{name} is no ranking of others: no search"] = {methods.GIVEN: None}
            return
        scales = self.scale if spec.scaled else (False,)
        sizes, transforms = self.n_components, self._steps
        if name.startswith(RANKING):  # which is not processed
            sizes, transforms = (None,), ["none"]
        ways = itertools.product(scales, transforms, sizes, self.normalize, self.pre_normalize)
        for (scale, named, pca, l2, pre), how in itertools.product(ways, hows):
            variant = Variant(name, how, pca, l2, pre, scale, named)
            why, what = rules.obstacle(variant, name, pca, spec.dim * n_values(how), n_clips)
            if why:
                left_out.setdefault(why, {})[what] = None
                continue
            for search in variant.searches(searches):
                n_cuts = methods.parse(search).n_subquantizers
                if n_cuts and n_cuts > variant.dim:
                    left_out.setdefault(f"{name} in {variant.dim} dimensions: no search", {})[search] = None
                else:
                    yield variant, search

    def _of_fusion(self, name: str, available: set[tuple[Variant, str]]) -> list[Variant]:
        """Variants of a fusion, each of whose parts is available by the search that is fused."""
        search, ways = naming.fused(name)[1], (self.n_components, self.normalize, self.pre_normalize)
        every = dict.fromkeys(
            Variant(name, how, *way, None, step)
            for how, way, step in itertools.product(self.aggregations, itertools.product(*ways), self._steps)
        )
        return [one for one in every if all((part, search) in available for part in one.parts)]

    def _keeps(self, variant: Variant, search: str) -> bool:
        if not (self.include or self.exclude):
            return True
        system = {**variant.parameters(), "search": search}
        fitting = functools.partial(rules.fits, system)
        return (not self.include or any(map(fitting, self.include))) and not any(map(fitting, self.exclude))


def read_grid(path: str | Path) -> Grid:
    """Grid from a YAML file whose keys are the fields of `Grid`.

    A path that leads nowhere from here is one from the notebooks. Paths of models, also those in rules, are
    from the folder of the grid. "./folder@*" stands for its every layer.
    A grid is data, and may come from others: of the modules that it names as `hear:module`, only installed
    ones are imported. See `loaders.hear.require_leave`.

    Raises
    ------
    ValueError
        If a key or a value is unknown; the message has the nearest right word. Or if a module may not be
        imported.
    """
    given, path = path, Path(path) if Path(path).is_file() else NOTEBOOKS / path
    if not path.is_file():
        raise ValueError(f"grid {given} does not exist: the grids are in {NOTEBOOKS / 'grids'}")
    content = read_mapping(path, "models: [aisfx]")
    keys = [f.name for f in fields(Grid) if f.name != "name"]
    for key in content:
        require_known(key, keys, f"the keys of {path.name}")
    if content.get("models") is None:
        raise ValueError(f"{path} has no 'models': name at least one of {', '.join(models.catalogue())}")
    protocol = content.pop("protocol", protocols.STANDARD.name)
    as_tuples = {k: tuple(v) if isinstance(v, list) else (v,) for k, v in content.items()}
    here = path.absolute().parent
    _require_names(as_tuples["models"], f"models of {path.name}")
    names = _importable(list(as_tuples["models"]), here)
    named = [models.absolute(name, here) for name in names]
    as_tuples["models"] = tuple(itertools.chain.from_iterable(map(models.layers, named)))
    for key in {"include", "exclude"} & as_tuples.keys():
        as_tuples[key] = tuple(rules.absolute_rule(rule, here) for rule in as_tuples[key])
    for fusion in as_tuples.get("fusions", ()):
        if isinstance(fusion, dict) and isinstance(fusion.get("models"), list):
            fusion["models"] = [models.absolute(str(name), here) for name in fusion["models"]]
    if flaw := file_name_flaw(path.stem):
        raise ValueError(f"grid {path} {flaw}, so that figures can't be called by it: rename it")
    grid = Grid(**as_tuples, protocol=protocol, name=composed(path.stem))
    grid.require_rules_that_fit()
    return grid


def _require_names(values: Sequence[object], where: str) -> None:
    for value in values:
        if not isinstance(value, str) or not value:
            raise ValueError(f"{value!r} in {where} is no name: write one, in quotes")


def _importable(names: list[str], here: Path) -> list[str]:
    """Names of the models that may be had. A module that lies about is a ValueError; a plan imports none."""
    kept = []
    for name in names:
        if name.startswith(HEAR):
            hear.require_leave(re.split("[:+]", name.removeprefix(HEAR))[0], here)
            if os.environ.get(hear.IMPORTS) == "none":
                _say(f"  left out of the plan: {name}, as a plan imports no module; a run does")
                continue
        kept.append(name)
    if names and not kept:
        raise ValueError("a plan imports no module, and the grid has no other model: run it without PLAN=1")
    return kept


@functools.cache
def _say(sentence: str) -> None:
    """Print a sentence, once."""
    print(sentence)
