"""GitHub. Everything that leaves the machine goes through the `gh` command line and the token it has.

- `gh.py`: that command line
- `actions.py`, `annotations.py`, `approval.py`: what a job says: summary, outputs, findings, of which run the evidence is
- `runs.py`, `commits.py`, `restore.py`: which runs count, and the registry's way between them
- `pull_request.py`, `data_change.py`, `issue.py`: pull requests and issues
- `bootstrap.py`, `owners.py`, `oidc.py`: the repository's settings, its CODEOWNERS, who its tokens say they are
"""
