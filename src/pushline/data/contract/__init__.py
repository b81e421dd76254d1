"""`data_checks/contract.yml`: what each column is, said once.

- `column.py`, `contract.py`: the file as types, with its schema for editors
- `dates.py`: dates as text and as numbers
- `derived.py`: derived features, small expressions over the columns of a row
- `encoding.py`: a row as the matrix a model takes, and as a class number
- `split.py`: which rows are held out
"""

from pushline.data.contract.column import Column
from pushline.data.contract.contract import (
    RESERVED,
    Contract,
    Derived,
    Split,
    contract_faults,
    fits,
    load_contract,
    parse_contract,
)

__all__ = [
    "RESERVED",
    "Column",
    "Contract",
    "Derived",
    "Split",
    "contract_faults",
    "fits",
    "load_contract",
    "parse_contract",
]
