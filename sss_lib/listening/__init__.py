"""Listening to rankings: notebook 06. Rankings and audio come in; a page to listen and to judge comes out.

- `study`: the collection and the systems whose rankings exist; `sounds`, `loudness`: clips as played.
- `board`, `views`: systems' results side by side; `map`: clips in two dimensions; page/: JavaScript and CSS.
- `first_tasks`: a hub, a confusion and a near-duplicate to begin with.
- `controls`, `selection`: the next query; `external_queries`: a sound of the listener's own, or words.
- `embedders`, `shared_models`: the models of such sounds, in processes that all visitors share.
- `exports`: what is shown or marked, as a list, a page or files.
- `judging`, `judgements`, `judgement_statistics`: blind judgements of systems, their file and statistics.
- `serve`, `start`, `server`, `program`, `guards`: notebook 06 as a page.
- `judge`, `sitting`: a listening study as a page.
- `study_file`, `protocol`, `answers`: what such a study asks, whom, what they say.
- `quality`, `analysis`: how well each judge answered; what follows from the answers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "board": ["Board"],
        "controls": ["Controls"],
        "first_tasks": ["choose", "tasks"],
        "judgement_statistics": ["agreement", "correlation", "judged_scores", "preferences"],
        "judgements": ["Judgements"],
        "judging": ["Judging", "JudgingControls"],
        "map": ["MapControls", "SoundMap"],
        "study": ["Study"],
    },
)
