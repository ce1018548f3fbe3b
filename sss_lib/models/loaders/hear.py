"""Any encoder with the interface of HEAR 2021 (hearbenchmark.com), by its module's name.

The name of such a model is `hear:MODULE`, or `hear:MODULE:PATH` where PATH is what the module's `load_model`
takes: its weights. Frames are the timestamp embeddings; where a module has none, its scene embedding is the
clip's.

A name may come from others, in a grid or a folder of results, and to import a module is to run it. So every
import here asks `require_leave` first.
"""

import contextlib
import functools
import importlib
import importlib.machinery
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sss_lib.io import audio
from sss_lib.models import naming
from sss_lib.models.frontends import batches
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights.file import content_digest

PROBES_S = 2.0, audio.MAX_DURATION_S
"""Lengths of noise from which the hop is measured: the second if the first has one timestamp only."""

MOST_HZ = 1_000_000
IMPORTS = "SSS_LIB_IMPORTS"
"""Environment variable: the modules that may be imported, "installed" (by default), "any" or "none"."""
CHECKOUT = Path(__file__).parents[3]

_CODE: dict[str, str | None] = {}
"""Digest of the source that each module runs."""


def spec_of(name: str) -> ModelSpec:
    """Row for a model that isn't in the catalogue, as its module describes itself.

    Its artefacts record digests of the weights and of the module's file, so that a change is noticed.

    Parameters
    ----------
    name : str
        "hear:MODULE" or "hear:MODULE:PATH".

    Raises
    ------
    ValueError
        If the name isn't one of these, the module can't be imported, or what it has isn't HEAR's interface.
    FileNotFoundError
        If PATH doesn't exist.
    """
    found = re.fullmatch(r"hear:([\w.]+)(?::(.+))?", name)
    if not found:
        raise ValueError(f"model {name!r} is no name of a HEAR module: write hear:MODULE or hear:MODULE:PATH")
    module, path = found[1], os.path.abspath(found[2]) if found[2] else ""
    imported = _imported(module)
    files = {"code": getattr(imported, "__file__", None), "weights": path}
    digests = {what: content_digest(file) for what, file in files.items() if file}
    if _CODE.setdefault(module, digests.get("code")) != digests.get("code"):  # edited since it was imported
        with _named(module):
            importlib.reload(imported)
        _CODE[module] = digests["code"]
    return _described(module, path, tuple(digests.items()))


def load(spec: ModelSpec, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the module's function: waveform to [n_frames, dim]."""
    module, model = _loaded(*(spec.options[key] for key in ("module", "path", "digests")))
    if hasattr(model, "to"):
        device = batches.chosen(device)
        with _named(spec.options["module"]):
            model.to(device)
    return lambda wave: _embed(module, model, wave, device)[0]


def require_leave(module: str, beside: Path | None = None) -> None:
    """Raise ValueError if a module may not be imported without the user's leave.

    Leave is that it is installed, that PYTHONPATH names its folder, that it is imported already, or "any" in
    the environment variable `IMPORTS`.

    Parameters
    ----------
    module : str
    beside : Path, optional
        Folder of the file that names the module: what lies there is not installed.
    """
    package = module.partition(".")[0]
    if package in sys.stdlib_module_names:  # some open windows when they are imported
        raise ValueError(f"model {naming.HEAR + module!r} names a module of Python itself, which is no model")
    if os.environ.get(IMPORTS) != "any" and module not in sys.modules and _lies_about(package, beside):
        raise ValueError(
            f"model {naming.HEAR + module!r} would run {package}, which is not installed: if you trust it, "
            f"allow it by --import-modules, IMPORT=1 or {IMPORTS}=any, install it, or name its folder in "
            "PYTHONPATH"
        )


def _lies_about(package: str, beside: Path | None) -> bool:
    """Whether Python finds a package only in the working folder, this checkout or one more folder.

    A folder that the user has named in PYTHONPATH is none of these.
    """
    ours = {CHECKOUT.resolve(), (CHECKOUT / "notebooks").resolve()}
    named = {
        Path(path).resolve() for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path
    } - ours
    here = {beside.resolve()} - named if beside else set()
    lying = ({Path.cwd()} | ours) - named | here
    find = functools.partial(importlib.machinery.PathFinder.find_spec, package)
    found = find([path for path in sys.path if Path(path).resolve() not in lying])
    if not found:  # of what isn't found here either, the import tells that it is missing
        return bool(find(["", *sys.path]))
    files = [found.origin] if found.origin else list(found.submodule_search_locations or ())
    return any(Path(file).resolve().is_relative_to(folder) for file in files for folder in here)


class _Refusal(ValueError):
    """What is wrong with a module, in a line that names it."""


@contextlib.contextmanager
def _named(module: str) -> Iterator[None]:
    """Turn whatever a module raises into a line that names it, and keep what it prints to itself.

    Only control-C goes through: a module that exits, as scripts do, must not end the run.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    except (_Refusal, ImportError):
        raise
    except BaseException as error:
        if type(error) is KeyboardInterrupt:
            raise
        raise _Refusal(f"module {module!r} can't be used: {_line(error)}") from None


def _line(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _imported(module: str) -> ModuleType:
    """Return the module, which has what HEAR asks for."""
    require_leave(module)
    if os.environ.get(IMPORTS) == "none" and module not in sys.modules:
        raise _Refusal(f"model {naming.HEAR + module!r} is not imported, as {IMPORTS} is none")
    try:
        with _named(module):
            imported = importlib.import_module(module)
    except ImportError as error:
        raise _Refusal(
            f"module {module!r} of a HEAR model can't be imported ({_line(error)}): install it, or "
            "name its folder in the environment variable PYTHONPATH"
        ) from None
    lacks = [] if hasattr(imported, "load_model") else ["load_model"]
    if not any(hasattr(imported, name) for name in ("get_timestamp_embeddings", "get_scene_embeddings")):
        lacks.append("get_timestamp_embeddings or get_scene_embeddings")
    if lacks:
        raise _Refusal(f"module {module!r} has no {' and no '.join(lacks)}: HEAR's interface needs it")
    return imported


@functools.lru_cache(maxsize=1)
def _loaded(module: str, path: str, digests: tuple) -> tuple:
    """Return the module and its model, loaded once for each state of its files."""
    imported = _imported(module)
    with _named(module):
        model = imported.load_model(path) if path else imported.load_model()
        rate = getattr(model, "sample_rate", None)
        if type(rate) is not int or not 0 < rate <= MOST_HZ:
            raise _Refusal(
                f"the model of module {module!r} has sample_rate {rate!r}: HEAR asks for an int, in Hz"
            )
        if hasattr(model, "eval"):
            model.eval()
    return imported, model


@functools.lru_cache
def _described(module: str, path: str, digests: tuple) -> ModelSpec:
    imported, model = _loaded(module, path, digests)
    hop_s = None
    for seconds in PROBES_S:
        noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * model.sample_rate))
        frames, times_s = _embed(imported, model, noise.astype(np.float32), "cpu")
        if len(times_s) > 1:
            hop_s = float(np.median(np.diff(times_s)))
            if not 0 < hop_s < np.inf:
                raise _Refusal(
                    f"module {module!r} gave timestamps {hop_s} s apart: HEAR asks for milliseconds"
                )
            break
    labels = [module, Path(path).stem] if path else [module]
    name, display_name = naming.names_of("hear", *labels, path=path)
    return ModelSpec(
        name=name,
        display_name=display_name,
        loader="hear",
        rate_hz=model.sample_rate,
        dim=frames.shape[1],
        hop_s=hop_s,
        colour="#888888",
        citation=f"module {module}, with the interface of HEAR 2021",
        options={"module": module, "path": path, "digests": digests},
    )


def _embed(module: ModuleType, model: Any, wave: np.ndarray, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Frames [n_frames, dim] and their times in seconds; a scene is one frame without a time."""
    name = module.__name__
    with _named(name):
        clips, torch = _batch_of_one(model, wave, device), sys.modules.get("torch")
        with torch.no_grad() if torch else contextlib.nullcontext():
            if hasattr(module, "get_timestamp_embeddings"):
                frames, times_ms = map(_array, module.get_timestamp_embeddings(clips, model))
                if (frames.ndim, times_ms.ndim) != (3, 2) or not len(frames) == len(times_ms) == 1:
                    raise _Refusal(
                        f"module {name!r} gave a clip embeddings of shape {frames.shape} at timestamps of "
                        f"shape {times_ms.shape}: HEAR asks for [1, n_timestamps, dim] and [1, n_timestamps]"
                    )
                (frames,), (times_ms,), n_rows = frames, times_ms, times_ms.shape[1]
            else:
                frames, times_ms = _array(module.get_scene_embeddings(clips, model)), np.empty(0)
                n_rows = 1
        if frames.ndim != 2 or len(frames) != n_rows or not frames.size:
            raise _Refusal(
                f"module {name!r} gave a clip embeddings of shape {frames.shape} at {len(times_ms)} "
                "timestamps: HEAR asks for one row a timestamp, or one row"
            )
        return frames.astype(np.float32), times_ms.astype(float) / 1000


def _batch_of_one(model: Any, wave: np.ndarray, device: str) -> Any:
    """Return the wave [1, n_samples] in the kind of tensor that the model works with."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow and isinstance(model, tensorflow.Module):
        return tensorflow.convert_to_tensor(wave[None])
    import torch

    return torch.from_numpy(wave[None]).to(device)


def _array(tensor: Any) -> np.ndarray:
    """Return a tensor of either library as an array."""
    return np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor)
