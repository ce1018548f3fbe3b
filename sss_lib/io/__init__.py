"""Files: sounds in, artefacts out and in again, downloads and archives.

Paths come in, arrays and tables go out. No notebook of its own: all stages read and write through it.

- `audio`, `ffmpeg`: decode a file to one mono waveform at a given rate; cut it into windows.
- `containers`, `flac`, `mpeg`, `ogg`: how long a sound is by its content; `pieces`: a header that agrees.
- `artefact`: Parquet files that say what made them; `sealed`: their checksums.
- `errors`: those whose message is all that a notebook shows.
- `writing`: files written whole or not at all, locks, and what killed runs leave.
- `code`: digests of the code that made them.
- `download`, `archives`, `split_zip`: files from the web, resumed and checked; unpacked whole or not at all.
- `study_json`: the JSON of the 2024 study; `given_files`: embeddings and rankings of others, by clip id.
- `names`: is a name known, and if not, which is nearest; can it be a file's?
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "artefact": [
            *("Artefact", "DamagedArtefactError", "StaleArtefactError", "locked", "replacing"),
            *("Frames", "to_frames", "to_matrix", "to_table"),
        ],
        "study_json": ["read_json_embeddings"],
    },
)
