"""Scores to figures, tables and documents: notebooks 05, 05b and 05c.

Tidy scores come in; plots, tables, the leaderboard and the paper go out.

- `tables`: tables of scores for readers; `text`: numbers, captions and tables as HTML, LaTeX, Markdown, CSV.
- `plots/`: one function a kind of figure; `players`: clips, a query and its results, to listen to; `choice`:
  a list or a slider, and what it shows.
- `compared`: the systems of a grid on one dataset, which 05, 05b and 05c draw.
- `published`, `claims`: the study's numbers and claims, compared with the measurements here; `profiles`:
  its collection and its scores by class, without a sound.
- `beyond`: steps beyond the study's, each beside the system that lacks it.
- `tradeoffs`: time and memory that an approximate search saves, and accuracy that it loses.
- `leaderboard`: all scores computed in this checkout; `paper`: the paper, the poster and the slides.
"""
