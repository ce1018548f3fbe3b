"""Collections that are known by name: where they are published, and how their tables are read.

A new one is a module beside these with a `Collection`, and its name here. `imitations` reads a folder of
vocal imitations.
"""

from sss_lib.dataset.known.collection import Collection
from sss_lib.dataset.known.esc50 import ESC10, ESC50
from sss_lib.dataset.known.fsd50k import FSD50K_DEV, FSD50K_EVAL
from sss_lib.dataset.known.mini import MINI
from sss_lib.dataset.known.urbansound8k import URBANSOUND8K

CATALOGUE: dict[str, Collection] = {
    one.name: one for one in (MINI, FSD50K_EVAL, FSD50K_DEV, ESC10, ESC50, URBANSOUND8K)
}
"""Every known collection by name."""
