"""A CSV or Parquet file as a typed table.

- `scan.py`, `header.py`: what the bytes and the first line say before anything parses the rest
- `reading.py`: the rows, read by DuckDB, and the way back to the line of the file; `cells.py` has what did not fit
- `table.py`, `version.py`: a table as something to query, and its hash, the data version
"""
