"""Pipelines that others start: published versions, their runs, and the REST service in front of them.

- `published.py`: immutable, numbered versions of a pipeline
- `runs.py`: a run, what a caller may give it, and the process it is
- `routes.py`, `server.py`: the service with its API document, its process
- `client.py`: who asks it
"""
