"""Scores to figures, tables and documents: notebook 05.

Tidy scores come in; plots, tables, the leaderboard and the paper go out.

- `tables`, `reports`, `text`: tables that a person reads; files of them.
- `plots/`: one function a kind of figure.
- `published`, `claims`: the study's numbers and claims, and what is measured here beside them.
- `tradeoffs`: what an approximate search saves, and loses.
- `leaderboard`, `paper`: every score that was computed here; the paper, the poster and the slides.
"""
