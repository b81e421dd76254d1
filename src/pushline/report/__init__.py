"""Results as a person reads them: lines in a terminal, Markdown for job summaries, one HTML page.

- `summary.py`: the result of each stage as Markdown; `datasets.py`, `watching.py`, `performance.py`: of the other commands;
  `terminal.py`: as lines
- `states.py`, `cautions.py`, `evidence.py`: what became of each stage, what to look at, what an approver needs
- `page.py`, `charts.py`, `svg.py`, `classes.py`, `columns.py`, `quantities.py`, `card.py`, `sources.py`: build/report.html
- `figures.py`, `markdown.py`: how numbers and foreign text are written
"""
