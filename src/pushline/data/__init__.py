"""Data, from a file that somebody gives to the numbers a model takes. In the order of its way:

- `contract/`: what each column is, said once in `data_checks/contract.yml`, and what follows from it
- `sources/`: which files are pinned in `data.lock`, how they get here, how more are added
- `files/`: CSV and Parquet as a typed table, with the place of everything that could not be read
- `checks/`: the contract and the rules as expectations, and what they find
- `profile/`: the data as aggregates; rows drawn from them, and drift measured against them
- `rules.py`: what a repository's own `data_checks/rules.py` imports
"""
