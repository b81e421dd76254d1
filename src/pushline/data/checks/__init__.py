"""Whether a table is what the contract and the rules say.

- `check_data.py`: the stage: read, check, report
- `suite.py`: what a check is, and all of a contract and its rules; `label_checks.py`: what is asked of the label beside them
- `validate.py`: Great Expectations runs them on DuckDB (`duckdb_dialect.py`), and writes its own pages
- `findings.py`: what failed, in the order of reading, one finding for one cause
"""
