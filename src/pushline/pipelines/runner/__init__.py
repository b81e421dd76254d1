"""A pipeline file on this machine.

- `definition.py`, `binding.py`: the file as types, and the command of a job with its values
- `runner.py`: the jobs in their order, each a process of its own under a guard
- `fingerprint.py`: when finished work is used again
"""
