"""Who is named in files of the repository: CODEOWNERS, and the workflows that may sign a model."""

import re
from collections.abc import Sequence
from pathlib import Path

from pushline.files import write_atomically, write_json
from pushline.github import gh
from pushline.github.bootstrap import RepositoryState
from pushline.project import Project
from pushline.signing import Signers
from pushline.signing.signers import GITHUB, GithubSigner

PLACEHOLDER = re.compile(r"@your-org/[\w-]+")
FILE = Path(".github", "CODEOWNERS")


def name_owners(root: Path, reviewers: Sequence[str], *, write: bool) -> str:
    """Put the reviewers where the template names nobody; returns what was or would be done, empty where somebody is named."""
    file = root / FILE
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if not PLACEHOLDER.search(text):
        return ""
    names = " ".join(f"@{name}" for name in reviewers)
    if not write:
        return f"{FILE} names nobody yet: --apply puts {names} there"
    write_atomically(file, PLACEHOLDER.sub(names, text).encode())
    return f"{FILE} names {names} now: commit it"


def name_workflows(project: Project, state: RepositoryState, *, write: bool) -> str:
    """Let the workflows of this repository sign its models; returns what was or would be done, empty where they do.

    Whom they are certified by is written beside it, as GitHub says it now: it changes once in years.
    """
    attested = not state.private or state.variables.get("PUSHLINE_ATTEST") == "true"
    wanted = GithubSigner(repository=state.repository, branch=state.default_branch, attestations=attested)
    file, roots = project.signers / GITHUB, project.signers / "trusted_root.jsonl"
    if Signers(project.signers).github == wanted and (roots.is_file() or not attested):
        return ""
    if not write:
        return f"{file.relative_to(project.root)} does not name the workflows of {state.repository}: --apply writes it"
    if attested:
        write_atomically(roots, gh.run("attestation", "trusted-root").encode())
    write_json(file, wanted)
    return f"{file.relative_to(project.root)} names the workflows of {state.repository} now: commit it"
