"""The `gh` command line: the only way to GitHub."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from pushline.errors import SettingsError, TargetError


class NotFound(TargetError):
    """GitHub has no such thing, or does not show it to this token."""


class Forbidden(TargetError):
    """GitHub refuses the request: a right, a plan or a rule is in the way."""


def repository() -> str:
    """`owner/name` of the repository: what Actions says, or what `gh` reads off the checkout."""
    return os.environ.get("GITHUB_REPOSITORY") or run("repo", "view", "--json", "nameWithOwner", "--jq", ".nameWithOwner").strip()


def run(*arguments: str, text: str | None = None) -> str:
    """What `gh` prints.

    Raises SettingsError where gh is missing or not logged in, NotFound, Refused, or TargetError with what GitHub said.
    """
    return _run(arguments, text.encode() if text is not None else None).decode()


def api(path: str, *, method: str = "GET", body: Any = None) -> Any:
    """The parsed answer of one call of GitHub's REST interface; None where it answers nothing."""
    arguments = ["api", "--method", method, path]
    if body is not None:
        arguments += ["--input", "-"]
    answer = _run(arguments, msgspec.json.encode(body) if body is not None else None)
    try:
        return msgspec.json.decode(answer) if answer.strip() else None
    except msgspec.DecodeError as error:
        raise TargetError(f"GitHub's answer to {path} can't be read.", why=str(error), do="Run the same command again.") from error


def listed(path: str, key: str = "") -> list[Any]:
    """All entries of a list, page by page to its end; `key` names them where a page is an object."""
    text, found, decoder = _run(["api", "--paginate", path], None).decode().strip(), [], json.JSONDecoder()
    while text:  # one page behind the other
        page, end = decoder.raw_decode(text)
        found += page[key] if key else page
        text = text[end:].lstrip()
    return found


def download(path: str, to: Path, *options: str) -> None:
    """Put the bytes of one call into a file."""
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(_run(["api", *options, path], None))


def _run(arguments: tuple[str, ...] | list[str], given: bytes | None) -> bytes:
    if shutil.which("gh") is None:
        raise SettingsError("The command gh is missing.", why="Pushline talks to GitHub through it.", do="Install it from cli.github.com.")
    try:
        done = subprocess.run(["gh", *arguments], input=given, capture_output=True, timeout=300, check=False)
    except subprocess.TimeoutExpired as error:
        raise TargetError(f"gh {arguments[0]} did not end in 5 minutes.", do="Run the same command again.") from error
    if done.returncode == 0:
        return done.stdout
    said = (done.stderr or done.stdout).decode(errors="replace").strip()
    what = f"gh {' '.join(arguments[:4])} failed."
    if done.returncode == 4 or "gh auth login" in said:
        raise SettingsError(what, why=said, do="Log in with `gh auth login`, or set GH_TOKEN.")
    if "HTTP 404" in said:
        raise NotFound(what, why=said, do="Check the repository's name and that the token may see it.")
    if any(f"HTTP {status}" in said for status in (403, 409, 422)):  # 409: the organisation has decided it otherwise
        raise Forbidden(what, why=said, do="The token needs more rights, or the repository's plan does not have this.")
    raise TargetError(what, why=said, do="Run the same command again; GitHub's status page tells of outages.")
