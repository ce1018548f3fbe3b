"""Listening to rankings: notebook 06. Rankings and audio come in; a page to listen and to judge comes out.

- `study`: the collection and the systems whose rankings exist; `sounds`, `loudness`: clips as played.
- `board`, `views`: systems' results side by side; `map`: clips in two dimensions; page/: JavaScript and CSS.
- `tasks`: a hub, a confusion and a near-duplicate to begin with.
- `controls`, `selection`: the next query; `external_queries`: a sound of the listener's own, or words.
- `exports`: what is shown or marked, as a list, a page or files.
- `judging`, `judgements`, `agreement`: blind judgements of systems, their file, and their statistics.
- `serve`, `server`, `guards`: notebook 06 as a page; `judge`, `sitting`: a listening study as one.
- `study_file`, `protocol`, `answers`, `analysis`: what such a study asks, whom, what they say, what follows.
"""

from sss_lib.listening.agreement import agreement, correlation, judged_scores, preferences
from sss_lib.listening.board import Board
from sss_lib.listening.controls import Controls
from sss_lib.listening.judgements import Judgements
from sss_lib.listening.judging import Judging, JudgingControls
from sss_lib.listening.map import MapControls, SoundMap
from sss_lib.listening.study import Study
from sss_lib.listening.tasks import choose, tasks

__all__ = [
    "Board",
    "Controls",
    "Judgements",
    "Judging",
    "JudgingControls",
    "MapControls",
    "SoundMap",
    "Study",
    "agreement",
    "choose",
    "correlation",
    "judged_scores",
    "preferences",
    "tasks",
]
