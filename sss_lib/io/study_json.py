"""Embeddings of the CBMI 2024 code: a JSON file a clip."""

import json
from pathlib import Path

import numpy as np


def read_json_embeddings(folder: str | Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Frame or clip embeddings that the CBMI 2024 code wrote.

    Parameters
    ----------
    folder : str or Path
        Holds one {"audio_path": ..., "embeddings": [[...], ...] or [...]} per clip, named {fname}.json.

    Returns
    -------
    fnames : list of str [n_clips]
        In sorted order.
    frames : np.ndarray [shape=(n_total, dim), dtype=float32]
    offsets : np.ndarray [shape=(n_clips + 1,), dtype=int64]

    Raises
    ------
    ValueError
        If there is no such file, or a file's dimension differs from the first one's.
    """
    paths = sorted(path for path in Path(folder).glob("*.json") if not path.name.startswith("."))
    if not paths:
        raise ValueError(f"{folder} holds no .json file: give the folder with one JSON file a clip")
    rows: list = []
    for path in paths:
        try:
            values = np.atleast_2d(np.asarray(json.loads(path.read_text())["embeddings"], np.float32))
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path} has no 'embeddings' that form a table of numbers ({error})") from None
        if rows and values.shape[1:] != rows[0].shape[1:]:
            raise ValueError(
                f"{path} has dimension {values.shape[1]} but {paths[0].name} has {rows[0].shape[1]}: "
                "keep one model's embeddings in a folder"
            )
        rows.append(values)
    offsets = np.concatenate([[0], np.cumsum([len(values) for values in rows])]).astype(np.int64)
    return [path.stem for path in paths], np.concatenate(rows), offsets
