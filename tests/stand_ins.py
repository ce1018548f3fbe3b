"""Checkpoints of the published form, names and shapes with other numbers, for any model with a URL."""

from dataclasses import replace
from pathlib import Path

import published_clap
import published_graphs
import published_resnet
import published_vit
import seeded

from sss_lib.models import ModelSpec, catalogue

DOWNLOADED = [name for name, row in catalogue().items() if row.weights and row.weights.url]
"""Names of the models that these stand in for."""
LAYERED = ("cavmae", "imagebind", "spectrogram_transformer", "pe_audio")
"""Loaders of networks that `with_layers` makes smaller."""


def write(row: ModelSpec, folder: Path) -> Path:
    """Put a checkpoint where the published one is looked for when `SSS_CACHE` is the folder.

    Parameters
    ----------
    row : ModelSpec
        Of the catalogue, with fewer layers perhaps (`with_layers`).
    folder : Path

    Returns
    -------
    Path
        The file. Writing it again gives the same tensors.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(catalogue()["wav2clip"], Path(folder)).name
    'Wav2CLIP.pt'
    """
    path = folder / row.weights.file
    if row.requires == "essentia":
        path.write_bytes(published_graphs.essentia(row))
    elif row.loader == "birdnet":
        published_graphs.write_birdnet(path)
    elif path.suffix == ".safetensors":
        import safetensors.torch

        safetensors.torch.save_file(_content(row), path)
    else:
        import torch

        torch.save(_content(row), path)
    return path


def with_layers(row: ModelSpec, n_layers: int) -> ModelSpec:
    """Return a row whose network has fewer of its layers, all of one kind, and so has its stand-in."""
    key = "num_hidden_layers" if row.loader == "pe_audio" else "n_layers"
    return replace(row, options={**row.options, key: n_layers})


def _content(row: ModelSpec) -> object:
    """What the published file of a PyTorch model holds."""
    layers = {key: value for key, value in row.options.items() if key == "n_layers"}
    if row.loader == "beats":
        return published_vit.beats(finetuned="finetuned" in row.name)
    if row.loader == "cavmae":
        part = "DECODER" if "pretrained" in row.name else "CLASSIFIER"
        return seeded.state(published_vit.cav_mae(getattr(published_vit, f"CAV_MAE_{part}"), **layers))
    if row.loader == "imagebind":
        return seeded.state(published_vit.imagebind(**layers))
    if row.loader == "spectrogram_transformer":
        return seeded.state(published_vit.ast(**layers))
    if row.loader in ("audioclip", "wav2clip"):
        return seeded.tensors(getattr(published_resnet, row.loader)())
    if row.loader == "pe_audio":
        return _pe_audio(row)
    if row.loader in ("efficientat", "dymn"):
        return _efficientat(row)
    if row.options.get("publisher") == "transformers":
        size, fusion = row.options["size"], row.options.get("fusion", False)
        return published_clap.of_transformers(size, fusion).state_dict()
    return published_clap.content_of(row.name)


def _pe_audio(row: ModelSpec) -> dict:
    import torch

    from sss_lib.models.loaders import pe_audio

    torch.manual_seed(0)
    state = pe_audio.build(**row.options).state_dict()
    return state | {f"{prefix}x": torch.zeros(1) for prefix in pe_audio.UNUSED}


def _efficientat(row: ModelSpec) -> dict:
    from sss_lib.models.loaders import dymn, efficientat

    state = {"efficientat": efficientat, "dymn": dymn}[row.loader].Network(**row.options).state_dict()
    constant = {name: state.pop(name) for name in [*state] if name.endswith(("lambdas", "init_v"))}
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    shapes |= {"classifier.2.weight": (512, row.dim), "classifier.5.bias": (527,)}
    return constant | seeded.tensors(seeded.dynamic_state(shapes))
