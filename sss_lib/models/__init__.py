"""Audio representations by name: `catalogue()` says which there are, `load(name)` gives one to call.

A name comes in; an `Extractor` goes out, from a waveform to frame embeddings. Notebook 01 uses it.

A new model is a row in `catalogue/` and, for a new family, one file in `loaders/` with `load(spec, device)`.

- `registry`: from names to rows and loaded models; `register` adds a function as a model.
- `spec`, `extractor`: a row, with the ways to prepare audio; a loaded model.
- `naming`: names of external models: modules with HEAR's interface, folders of transformers, files.
- `catalogue/`, `loaders/`: a row a model, a file a family.
- `frontends/`, `weights/`: spectrograms and batches; files of weights, where they come from.
- `command`: lists models, fetches weights.
- `levels`: how loud is the audio of each frame?
- `audit`: does a model give a clip the same embedding whenever and wherever?
"""

from sss_lib.models.audit import audit
from sss_lib.models.registry import (  # at once: `catalogue` and `spec` are also the names of files
    Extractor,
    ModelSpec,
    absolute,
    canonical,
    catalogue,
    fetch,
    file_name,
    has_text,
    is_external,
    load,
    read_weights,
    register,
    spec,
    text_tower,
)

__all__ = ["Extractor", "ModelSpec", "absolute", "audit", "canonical", "catalogue", "fetch", "file_name"]
__all__ += ["has_text", "is_external", "load", "read_weights", "register", "spec", "text_tower"]
