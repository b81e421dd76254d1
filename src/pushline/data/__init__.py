"""The pinned source, the contract, the checks, the split, drift."""
