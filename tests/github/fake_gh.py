"""A stand-in for `gh api`: it keeps a repository's settings in a file, answers like GitHub, and records every call.

Artifacts lie in the folder $FAKE_GH_STORE as run/name/files, as the stand-in of upload-artifact keeps them. Sources at docs.github.com:
"List artifacts for a repository", "Create or update an environment", "Create a repository ruleset", "Workflow runs", "Using pagination in
the REST API"; what a plan lacks, "Managing environments for deployment" and "About rulesets".
"""

import hashlib
import io
import json
import os
import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

STORE = Path(os.environ.get("FAKE_GH", "gh.json"))


def main() -> int:
    state = json.loads(STORE.read_text(encoding="utf-8"))
    arguments = sys.argv[1:]
    if arguments[:2] == ["release", "create"]:
        return create_release(state, arguments[2:])
    if arguments == ["attestation", "trusted-root"]:
        print(state.get("roots", '{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'))
        return 0
    if arguments[:1] != ["api"]:
        print(f"unknown command {arguments}", file=sys.stderr)
        return 1
    whole, arguments = "--paginate" in arguments, [each for each in arguments if each != "--paginate"]
    method, path, body = parse(arguments[1:])
    state["calls"].append({"method": method, "path": path, "body": body})
    try:
        state["query"] = dict(parse_qsl(path.partition("?")[2]))
        answer = handle(state, method, path.split("?")[0], body)
        answers = [answer]
        while whole and state.pop("more", False):  # one page behind the other, as `gh api --paginate` prints them
            state["query"]["page"] = str(int(state["query"].get("page", 1)) + 1)
            answers.append(handle(state, method, path.split("?")[0], body))
    except LookupError:
        print(json.dumps({"message": "Not Found"}) + "\ngh: Not Found (HTTP 404)", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"gh: {error}", file=sys.stderr)
        return 1
    finally:
        state.pop("more", None)
        STORE.write_text(json.dumps(state), encoding="utf-8")
    if isinstance(answer, bytes):
        sys.stdout.buffer.write(answer)
    elif answer is not None:
        print("".join(json.dumps(each) for each in answers))
    return 0


def create_release(state: dict[str, Any], arguments: list[str]) -> int:
    """Attach files, kept beside the state, to the release of a tag that is there. Needs a token, as `gh` does."""
    tag, *files = [argument for argument in arguments if not argument.startswith("--")]
    if not os.environ.get("GH_TOKEN"):
        print("gh: To use GitHub CLI in a GitHub Actions workflow, set the GH_TOKEN environment variable.", file=sys.stderr)
        return 4
    if tag not in state.get("tags", []):
        print(f"tag {tag} doesn't exist in the repo {state['repository']}, aborting due to --verify-tag flag", file=sys.stderr)
        return 1
    kept = [shutil.copy2(file, STORE.parent) for file in files]
    state["releases"] = [*state.get("releases", []), {"tag_name": tag, "files": kept}]
    STORE.write_text(json.dumps(state), encoding="utf-8")
    return 0


def parse(arguments: list[str]) -> tuple[str, str, Any]:
    method, path, body = "GET", "", None
    rest = iter(arguments)
    for argument in rest:
        if argument == "--method":
            method = next(rest)
        elif argument == "-H":
            next(rest)
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


def collaborators(state: dict[str, Any], method: str, body: Any) -> Any:
    return page(state, "", [{"login": login} for login in state.get("writers", ["ann", "bob"])])


def team(state: dict[str, Any], method: str, body: Any, organisation: str, name: str) -> Any:
    return {"id": 99}


def rights(state: dict[str, Any], method: str, body: Any) -> Any:
    if method == "PUT":
        if state.get("no_pull_requests") and body["can_approve_pull_request_reviews"]:
            # docs.github.com, "Set default workflow permissions for a repository": 409 where the organisation prevents it
            raise PermissionError("Conflict (HTTP 409)")
        state["permissions"].update(body)
        return None
    return state["permissions"]


def environment(state: dict[str, Any], method: str, body: Any, name: str) -> Any:
    if method == "PUT":
        if body["reviewers"] and state["private"] and not state.get("reviewers", state["paid"]):
            raise PermissionError(
                "Failed to create the environment protection rule. Please ensure the billing plan supports it. (HTTP 422)"
            )
        if state.get("no_environments"):
            raise LookupError(name)
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
    return page(state, "branch_policies", entry["branches"])


def variables(state: dict[str, Any], method: str, body: Any, name: str | None = None) -> Any:
    store = state["environments"][name]["variables"] if name else state["variables"]
    if method == "POST":
        store[body["name"]] = body["value"]
        return None
    # docs.github.com, "List repository variables" and "List environment variables": 10 a page, 30 at most
    return page(state, "variables", [{"name": key, "value": value} for key, value in store.items()], 10, 30)


def variable(state: dict[str, Any], method: str, body: Any, name: str) -> Any:
    state["variables"][name] = body["value"]


def rulesets(state: dict[str, Any], method: str, body: Any, number: str | None = None) -> Any:
    if state["private"] and not state["paid"]:  # also to look at them
        raise PermissionError("Upgrade to GitHub Pro or make this repository public to enable this feature. (HTTP 403)")
    if method == "POST":
        state["rulesets"].append({"id": len(state["rulesets"]) + 1, **body, "source_type": "Repository"})
        return state["rulesets"][-1]
    if number is None:
        return page(state, "", [{"id": each["id"], "name": each["name"]} for each in state["rulesets"]])
    found = next(each for each in state["rulesets"] if str(each["id"]) == number)
    if method == "PUT":
        found.update(body)
    return found


def store() -> Path:
    return Path(os.environ["FAKE_GH_STORE"])


IDS = {"registry": 1, "challenger": 2}  # the last figure of an artifact's id, behind its run's


def page(state: dict[str, Any], key: str, entries: list[Any], usual: int = 30, most: int = 100) -> Any:
    """One page of a list, as GitHub cuts it; how long a page may be is with each list in its REST reference."""
    size, number = min(int(state["query"].get("per_page", usual)), most), int(state["query"].get("page", 1))
    state["more"] = size * number < len(entries)
    cut = entries[size * (number - 1) : size * number]
    return {"total_count": len(entries), key: cut} if key else cut


def artifacts(state: dict[str, Any], method: str, body: Any) -> Any:
    """All artifacts of a name, the newest first."""
    name, found = state["query"]["name"], []
    for run, about_run in sorted(state["runs"].items(), key=lambda each: -int(each[0])):
        if not about_run.get("deleted") and (about_run.get("empty") or (store() / run / name).is_dir()):
            of = {"id": int(run), "head_branch": about_run["branch"], "repository_id": 22, "head_repository_id": about_run.get("fork", 22)}
            digest = "0" if about_run.get("tampered") or about_run.get("empty") else hashlib.sha256(zipped(run, name)).hexdigest()
            found.append(
                {
                    "id": int(run) * 10 + IDS[name],
                    "expired": about_run.get("expired", False),
                    "digest": f"sha256:{digest}",
                    "created_at": about_run.get(f"{name}_at", f"2026-11-24T{int(run) // 60 % 24:02}:{int(run) % 60:02}:0{IDS[name] % 2}Z"),
                    "workflow_run": of,
                }
            )
    return page(state, "artifacts", found)


def artifact(state: dict[str, Any], method: str, body: Any, number: str) -> Any:
    return zipped(number[:-1], next(name for name, figure in IDS.items() if figure == int(number[-1])))


def zipped(run: str, name: str) -> bytes:
    buffer = io.BytesIO()
    folder = store() / run / name
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.writestr(zipfile.ZipInfo(str(file.relative_to(folder))), file.read_bytes())
    return buffer.getvalue()


def workflow_run(state: dict[str, Any], method: str, body: Any, run: str) -> Any:
    said = state["runs"][run]
    of = said.get("fork", 22)
    return {
        "id": int(run),
        "html_url": f"https://github.test/{state['repository']}/actions/runs/{run}",
        "path": f".github/workflows/{said['workflow']}",
        "event": said["event"],
        "conclusion": said["conclusion"],
        "head_branch": said["branch"],
        "head_repository": {"id": of, "full_name": state["repository"] if of == 22 else "stranger/bank"},
    }


def workflow_runs(state: dict[str, Any], method: str, body: Any, workflow: str) -> Any:
    asked = {"branch": "head_branch", "status": "conclusion", "event": "event"}
    entries = [workflow_run(state, method, body, run) for run, said in state["runs"].items() if said["workflow"] == workflow]
    for name, key in asked.items():
        if name in state["query"]:
            entries = [entry for entry in entries if entry[key] == state["query"][name]]
    return page(state, "workflow_runs", entries[::-1])


def pulls(state: dict[str, Any], method: str, body: Any, number: str | None = None) -> Any:
    there = state.setdefault("pulls", [])
    if method == "POST":
        if state.get("no_pull_requests"):
            raise PermissionError("GitHub Actions is not permitted to create or approve pull requests. (HTTP 403)")
        there.append({"number": len(there) + 1, "html_url": f"https://github.test/pull/{len(there) + 1}", "state": "open", **body})
        return there[-1]
    if number is not None:
        there[int(number) - 1].update(body)
        return there[int(number) - 1]
    branch = state["query"]["head"].partition(":")[2]
    return [each for each in there if each["state"] == "open" and each["head"] == branch]


def releases(state: dict[str, Any], method: str, body: Any, tag: str | None = None) -> Any:
    """A release holds the files that `state` names by their paths."""
    found = next((each for each in reversed(state["releases"]) if tag in (None, each["tag_name"])), None)
    if found is None:
        raise LookupError(tag)
    return {**found, "assets": [{"id": place, "name": Path(path).name} for place, path in enumerate(found["files"])]}


def asset(state: dict[str, Any], method: str, body: Any, place: str) -> Any:
    return Path(state["releases"][-1]["files"][int(place)]).read_bytes()


def issues(state: dict[str, Any], method: str, body: Any, number: str | None = None) -> Any:
    there = state.setdefault("issues", [])
    if method == "POST":
        there.append({"number": len(there) + 1, "state": "open", **body})
        return there[-1]
    if number is not None:
        there[int(number) - 1].update(body)
        return there[int(number) - 1]
    return page(state, "", [each for each in there if each["state"] == "open"])


def dispatches(state: dict[str, Any], method: str, body: Any, workflow: str) -> Any:
    state.setdefault("dispatched", []).append({"workflow": workflow, **body})


def comments(state: dict[str, Any], method: str, body: Any, number: str) -> Any:
    state.setdefault("comments", []).append({"issue": int(number), **body})
    return state["comments"][-1]


ROUTES = [
    (r"/pulls", pulls),
    (r"/pulls/(\d+)", pulls),
    (r"/releases/latest", releases),
    (r"/releases/tags/(.+)", releases),
    (r"/releases/assets/(\d+)", asset),
    (r"/actions/workflows/([\w.]+)/dispatches", dispatches),
    (r"/issues", issues),
    (r"/issues/(\d+)", issues),
    (r"/issues/(\d+)/comments", comments),
    (r"/actions/artifacts", artifacts),
    (r"/actions/artifacts/(\d+)/zip", artifact),
    (r"/actions/runs/(\d+)", workflow_run),
    (r"/actions/workflows/([\w.-]+)/runs", workflow_runs),
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
    (r"/collaborators", collaborators),
    (r"/rulesets", rulesets),
    (r"/rulesets/(\d+)", rulesets),
]

if __name__ == "__main__":
    sys.exit(main())
