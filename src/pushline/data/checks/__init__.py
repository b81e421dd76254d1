"""Whether a table is what the contract and the rules say.

- `check_data.py`: the stage: read, check, report
- `suite.py`: all checks (`check.py`) of a contract and its rules; `label_checks.py`: what is asked of the label beside them
- `validate.py`: Great Expectations runs them on DuckDB (`duckdb_dialect.py`); `data_docs.py` has its own pages
- `findings.py`, `root_causes.py`: what failed, in the order of reading, one finding for one cause
"""
