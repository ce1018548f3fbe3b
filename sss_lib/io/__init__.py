"""Files: sounds in, artefacts out and in again, downloads and archives.

Paths come in, arrays and tables go out. No notebook of its own: all stages read and write through it.

- `audio`, `ffmpeg`: decode a file to one mono waveform at a given rate; `windowing`: its windows.
- `containers`, `flac`, `mpeg`, `ogg`: how long a sound is by its content; `pieces`: a header that agrees.
- `artefact`: Parquet files that say what made them, by which a stale one is noticed; `code`: digests of the
  code; `sealed`: checksums, against damage.
- `errors`: those whose message is all that a notebook shows.
- `writing`: writes files whole or not at all, locks them, and clears what killed runs leave.
- `download`, `archives`, `split_zip`: files from the web, resumed and checked; unpacked whole or not at all.
- `given_files`, `given_rankings`: embeddings and rankings of others by clip id, and those of the 2024 study.
- `names`: refuses unknown names with the nearest known one, and names that no file can have.
- `plain_yaml`: grids and studies as files: data alone; `csv_text`: tables as CSV without formulas.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "artefact": [
            *("Artefact", "DamagedArtefactError", "StaleArtefactError", "locked", "replacing"),
            *("Frames", "to_frames", "to_matrix", "to_table"),
        ],
        "given_files": ["read_json_embeddings"],
    },
)
