"""A stand-in for `gh api`: it keeps a repository's settings in a file, answers like GitHub, and records every call.

Artifacts lie in the folder $FAKE_GH_STORE as run/name/files, as the stand-in of upload-artifact keeps them.
"""

import hashlib
import io
import json
import os
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

STORE = Path(os.environ.get("FAKE_GH", "gh.json"))


def main() -> int:
    state = json.loads(STORE.read_text(encoding="utf-8"))
    arguments = sys.argv[1:]
    if arguments[:1] != ["api"]:
        print(f"unknown command {arguments}", file=sys.stderr)
        return 1
    method, path, body = parse(arguments[1:])
    state["calls"].append({"method": method, "path": path, "body": body})
    try:
        answer = handle(state, method, path.split("?")[0], body)
    except LookupError:
        print(json.dumps({"message": "Not Found"}) + "\ngh: Not Found (HTTP 404)", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"gh: {error} (HTTP 422)", file=sys.stderr)
        return 1
    finally:
        STORE.write_text(json.dumps(state), encoding="utf-8")
    if isinstance(answer, bytes):
        sys.stdout.buffer.write(answer)
    elif answer is not None:
        print(json.dumps(answer))
    return 0


def parse(arguments: list[str]) -> tuple[str, str, Any]:
    method, path, body = "GET", "", None
    rest = iter(arguments)
    for argument in rest:
        if argument == "--method":
            method = next(rest)
        elif argument == "--input":
            next(rest)
            body = json.load(sys.stdin)
        else:
            path = argument
    return method, path, body


def handle(state: dict[str, Any], method: str, path: str, body: Any) -> Any:
    repository = state["repository"]
    for pattern, handler in ROUTES:
        if match := re.fullmatch(pattern, path.removeprefix(f"repos/{repository}")):
            return handler(state, method, body, *match.groups())
    raise LookupError(path)


def about(state: dict[str, Any], method: str, body: Any) -> Any:
    owner, name = state["repository"].split("/")
    said = {"id": 22, "name": name, "full_name": state["repository"], "owner": {"id": 11, "login": owner}}
    return {"default_branch": "main", "private": state["private"], **said}


def subject(state: dict[str, Any], method: str, body: Any) -> Any:
    return state.get("oidc", {"use_default": True})


def user(state: dict[str, Any], method: str, body: Any, name: str) -> Any:
    return {"id": {"ann": 11, "bob": 12}[name]}


def me(state: dict[str, Any], method: str, body: Any) -> Any:
    return {"login": "ann"}


def team(state: dict[str, Any], method: str, body: Any, organisation: str, name: str) -> Any:
    return {"id": 99}


def rights(state: dict[str, Any], method: str, body: Any) -> Any:
    if method == "PUT":
        state["permissions"].update(body)
        return None
    return state["permissions"]


def environment(state: dict[str, Any], method: str, body: Any, name: str) -> Any:
    if method == "PUT":
        if body["reviewers"] and state["private"] and not state["paid"]:
            raise PermissionError("Failed to create the environment protection rule. Please ensure the billing plan supports it.")
        entry = state["environments"].setdefault(name, {"branches": [], "variables": {}})
        entry["reviewers"] = body["reviewers"] or []
        entry["policy"] = body["deployment_branch_policy"]
    entry = state["environments"][name]
    reviewers = [{"type": each["type"], "reviewer": {"id": each["id"], "login": "x"}} for each in entry["reviewers"]]
    rules = [{"type": "required_reviewers", "reviewers": reviewers}] if reviewers else []
    return {"name": name, "protection_rules": rules, "deployment_branch_policy": entry["policy"]}


def branches(state: dict[str, Any], method: str, body: Any, name: str) -> Any:
    entry = state["environments"][name]
    if method == "POST":
        entry["branches"].append(body)
        return body
    return {"branch_policies": entry["branches"]}


def variables(state: dict[str, Any], method: str, body: Any, name: str | None = None) -> Any:
    store = state["environments"][name]["variables"] if name else state["variables"]
    if method == "POST":
        store[body["name"]] = body["value"]
        return None
    return {"variables": [{"name": key, "value": value} for key, value in store.items()]}


def variable(state: dict[str, Any], method: str, body: Any, name: str) -> Any:
    state["variables"][name] = body["value"]


def rulesets(state: dict[str, Any], method: str, body: Any, number: str | None = None) -> Any:
    if method == "POST":
        if state["private"] and not state["paid"]:
            raise PermissionError("Upgrade to a paid plan to enable this feature.")
        state["rulesets"].append({"id": len(state["rulesets"]) + 1, **body, "source_type": "Repository"})
        return state["rulesets"][-1]
    if number is None:
        return [{"id": each["id"], "name": each["name"]} for each in state["rulesets"]]
    found = next(each for each in state["rulesets"] if str(each["id"]) == number)
    if method == "PUT":
        found.update(body)
    return found


def store() -> Path:
    return Path(os.environ["FAKE_GH_STORE"])


def artifacts(state: dict[str, Any], method: str, body: Any) -> Any:
    """All artifacts named `registry`; their ids are their runs'."""
    found = []
    for run, about_run in state["runs"].items():
        if (store() / run / "registry").is_dir():
            of = {"id": int(run), "head_branch": about_run["branch"], "repository_id": 1, "head_repository_id": about_run.get("fork", 1)}
            found.append(
                {
                    "id": int(run),
                    "expired": about_run.get("expired", False),
                    "digest": f"sha256:{hashlib.sha256(zipped(run)).hexdigest()}" if not about_run.get("tampered") else "sha256:0",
                    "created_at": f"2026-11-24T00:00:{int(run) % 60:02}Z",
                    "workflow_run": of,
                }
            )
    return {"artifacts": found}


def artifact(state: dict[str, Any], method: str, body: Any, run: str) -> Any:
    return zipped(run)


def zipped(run: str) -> bytes:
    buffer = io.BytesIO()
    folder = store() / run / "registry"
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.writestr(zipfile.ZipInfo(str(file.relative_to(folder))), file.read_bytes())
    return buffer.getvalue()


def workflow_run(state: dict[str, Any], method: str, body: Any, run: str) -> Any:
    said = state["runs"][run]
    return {"path": f".github/workflows/{said['workflow']}", "event": said["event"], "conclusion": said["conclusion"]}


def pulls(state: dict[str, Any], method: str, body: Any, number: str | None = None) -> Any:
    there = state.setdefault("pulls", [])
    if method == "POST":
        there.append({"number": len(there) + 1, "html_url": f"https://github.test/pull/{len(there) + 1}", "state": "open", **body})
        return there[-1]
    if number is not None:
        there[int(number) - 1].update(body)
        return there[int(number) - 1]
    return [each for each in there if each["state"] == "open"]


def issues(state: dict[str, Any], method: str, body: Any, number: str | None = None) -> Any:
    there = state.setdefault("issues", [])
    if method == "POST":
        there.append({"number": len(there) + 1, "state": "open", **body})
        return there[-1]
    if number is not None:
        there[int(number) - 1].update(body)
        return there[int(number) - 1]
    return [each for each in there if each["state"] == "open"]


def comments(state: dict[str, Any], method: str, body: Any, number: str) -> Any:
    state.setdefault("comments", []).append({"issue": int(number), **body})
    return state["comments"][-1]


ROUTES = [
    (r"/pulls", pulls),
    (r"/pulls/(\d+)", pulls),
    (r"/issues", issues),
    (r"/issues/(\d+)", issues),
    (r"/issues/(\d+)/comments", comments),
    (r"/actions/artifacts", artifacts),
    (r"/actions/artifacts/(\d+)/zip", artifact),
    (r"/actions/runs/(\d+)", workflow_run),
    (r"", about),
    (r"user", me),
    (r"users/(\w+)", user),
    (r"orgs/([\w-]+)/teams/([\w-]+)", team),
    (r"/actions/permissions/workflow", rights),
    (r"/environments/(\w+)", environment),
    (r"/environments/(\w+)/deployment-branch-policies", branches),
    (r"/environments/(\w+)/variables", variables),
    (r"/actions/oidc/customization/sub", subject),
    (r"/actions/variables", variables),
    (r"/actions/variables/(\w+)", variable),
    (r"/rulesets", rulesets),
    (r"/rulesets/(\d+)", rulesets),
]

if __name__ == "__main__":
    sys.exit(main())
