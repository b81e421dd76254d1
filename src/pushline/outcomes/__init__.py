"""What became of the rows that were scored.

- `file.py`: a file of outcomes, held to the contract like any table
- `store.py`: every outcome that was ever told, of which the newest counts
- `rows.py`: logged rows with their outcomes: exported, deleted, and turned into training data
"""
