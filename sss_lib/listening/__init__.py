"""Hear what the rankings say: a board of results on a notebook's page, its controls, judging, and a map.

- `study`: the collection and the systems whose rankings exist; `sounds`, `loudness`: clips as a page plays them.
- `views`, `board`: the results of some systems side by side; `controls`, `selection`: what queries next.
"""

from sss_lib.listening.board import Board
from sss_lib.listening.controls import Controls
from sss_lib.listening.study import Study

__all__ = ["Board", "Controls", "Study"]
