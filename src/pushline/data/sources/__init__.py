"""Which files the model is trained on, and where they come from.

- `lock.py`: `data.lock`, with what changed since another commit in `lock_history.py`
- `fetch.py`, `download.py`: the pinned files on this machine, from the cache or over HTTP
- `add.py`: a lock with one more file, or with what a source holds now
"""
