"""The settings of a repository that live outside its files: read, planned, made so, twice without harm."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from msgspec import Struct, field

from pushline.errors import SettingsError
from pushline.github import gh
from pushline.settings import PushlineSettings

RULESET = "pushline"
NO_ENVIRONMENTS = "Without environments the identity for Azure can't be bound to one: use the local target."
GITHUB_ACTIONS = 15368  # GitHub's own id of the app whose checks count
NO_RULES = "Private repositories have rules only on GitHub's paid plans: agree in the team that main takes reviewed pull requests alone."
NO_REVIEWERS = (
    "A private repository has reviewers only on GitHub's paid plans: a release then waits for a run of deliver.yml by hand, from deploy "
    "(the variable PUSHLINE_APPROVAL is set to dispatch; remove it when the plan changes)."
)
NO_PULL_REQUESTS = (
    "The organisation lets no workflow open pull requests: retrain.yml and upgrade.yml push their branch and say where a person opens it "
    "(an owner of the organisation may allow it under Settings, Actions, General)."
)
MAIN_ONLY = {"protected_branches": False, "custom_branch_policies": True}


class DesiredState(Struct, frozen=True, kw_only=True):
    """What the repository should be like."""

    reviewers: tuple[str, ...]  # logins, or `org/team`
    variables: Mapping[str, str]  # of the repository
    environment_variables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by environment


class Environment(Struct, frozen=True, kw_only=True):
    """A deployment environment as it is."""

    reviewers: tuple[tuple[str, int], ...] = ()  # type and id
    branches: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


class RepositoryState(Struct, frozen=True, kw_only=True):
    """What the repository is like."""

    repository: str
    default_branch: str
    private: bool
    environments: Mapping[str, Environment]
    reviewer_ids: tuple[tuple[str, int], ...]
    rules: bool  # the plan has rules for branches
    ruleset: Mapping[str, Any] | None
    alone: bool  # one person alone may write: nobody else could approve a pull request of theirs
    variables: Mapping[str, str]
    workflow_permissions: Mapping[str, Any]


class RepositoryChange(Struct, frozen=True):
    """One call that makes something so."""

    what: str
    method: str
    path: str
    body: Any
    fallback: str = ""  # what to do where GitHub refuses it
    instead: Any = None  # the body to try then


def wanted(
    settings: PushlineSettings,
    reviewers: tuple[str, ...],
    variables: Mapping[str, str] | None = None,
    environment_variables: Mapping[str, Mapping[str, str]] | None = None,
) -> DesiredState:
    """What the settings ask for. Azure's names become variables where Azure is connected; none of them is a secret.

    The last two are those that `bootstrap azure` has left, where it ran in this checkout.
    Raises SettingsError where nobody is named to approve.
    """
    if not reviewers:
        raise SettingsError(
            "Nobody is named to approve a release.",
            why="The environment production waits for a person.",
            do="Name at least one with --reviewer LOGIN, or a team with --reviewer org/team.",
        )
    azure, made = settings.azure, dict(variables or {})
    runner = {"PUSHLINE_RUNNER": settings.runner} if settings.runner else {}
    if made and azure.subscription in ("", made.get("PUSHLINE_AZURE__SUBSCRIPTION")):
        return DesiredState(reviewers=reviewers, variables=made | runner, environment_variables=environment_variables or {})
    if not azure.subscription:
        return DesiredState(reviewers=reviewers, variables=runner)
    names = {"SUBSCRIPTION": azure.subscription, "RESOURCE_GROUP": azure.resource_group, "WORKSPACE": azure.workspace}
    said = {f"PUSHLINE_AZURE__{name}": value for name, value in names.items()}
    target = settings.target if settings.on_azure else "aci"
    return DesiredState(reviewers=reviewers, variables={"PUSHLINE_TARGET": target, **said, **runner})


def lines(state: RepositoryState, changes: list[RepositoryChange]) -> list[str]:
    """The plan for a person."""
    left = [] if state.rules else [f"left alone: the rules for {state.default_branch}. {NO_RULES}"]
    if not changes:
        return [f"{state.repository} is as it should be.", *left]
    return [f"{state.repository} needs {len(changes)} changes:", *(f"  {change.method:5} {change.what}" for change in changes), *left]


def read(wanted: DesiredState) -> RepositoryState:
    """The repository as it is now. Changes nothing."""
    repository = gh.repository()
    about = gh.api(f"repos/{repository}")
    rulesets = _or_refused(f"repos/{repository}/rulesets")
    ours = next((entry["id"] for entry in rulesets or [] if entry["name"] == RULESET), None)
    writers = _or_refused(f"repos/{repository}/collaborators?permission=push")
    return RepositoryState(
        repository=repository,
        default_branch=about["default_branch"],
        private=about["private"],
        environments={name: found for name in ("training", "production") if (found := _environment(repository, name))},
        reviewer_ids=tuple(_reviewer(name) for name in wanted.reviewers),
        rules=rulesets is not None,
        ruleset=gh.api(f"repos/{repository}/rulesets/{ours}") if ours else None,
        alone=writers is not None and len(writers) == 1,
        variables=_variables(f"repos/{repository}/actions/variables"),
        workflow_permissions=gh.api(f"repos/{repository}/actions/permissions/workflow"),
    )


def plan(state: RepositoryState, wanted: DesiredState) -> list[RepositoryChange]:
    """The changes that make the repository as wanted, in their order; empty where it is."""
    base = f"repos/{state.repository}"
    changes = _permissions(state, base)
    for name, reviewers in (("training", ()), ("production", state.reviewer_ids)):
        changes += _plan_environment(state, base, name, reviewers)
        for variable, value in wanted.environment_variables.get(name, {}).items():
            there = state.environments.get(name, Environment()).variables
            place, where = f"{base}/environments/{name}/variables", f" of the environment {name}"
            changes += _plan_variable(place, variable, value, there, where, fallback=NO_ENVIRONMENTS)
    changes += _plan_ruleset(state, base) if state.rules else []
    for variable, value in wanted.variables.items():
        changes += _plan_variable(f"{base}/actions/variables", variable, value, state.variables, "")
    return changes


def apply(changes: list[RepositoryChange], state: RepositoryState, progress: Callable[[str], None]) -> list[str]:
    """Make the changes; returns what GitHub refused and what to do about it."""
    refused = []
    for change in changes:
        try:
            gh.api(change.path, method=change.method, body=change.body)
        except (gh.Forbidden, gh.NotFound) as error:
            if not change.fallback:
                raise
            refused.append(f"{change.what}: GitHub refused ({error.why.splitlines()[-1]}). {change.fallback}")
            if change.path.endswith("/environments/production"):
                _approve_by_dispatch(state)
            if change.instead is not None:
                with suppress(gh.Forbidden, gh.NotFound):  # the environment at least, for its variables and its branch
                    gh.api(change.path, method=change.method, body=change.instead)
        else:
            progress(f"done: {change.what}")
    return refused


def _approve_by_dispatch(state: RepositoryState) -> None:
    """Without reviewers the approval is a run by hand: the release job waits for it."""
    base = f"repos/{state.repository}/actions/variables"
    for change in _plan_variable(base, "PUSHLINE_APPROVAL", "dispatch", state.variables, ""):
        gh.api(change.path, method=change.method, body=change.body)


def _permissions(state: RepositoryState, base: str) -> list[RepositoryChange]:
    body = {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": True}
    if {name: state.workflow_permissions.get(name) for name in body} == body:
        return []
    what = "workflows get a read-only token, and may open pull requests"
    instead = {**body, "can_approve_pull_request_reviews": False}
    return [RepositoryChange(what, "PUT", f"{base}/actions/permissions/workflow", body, NO_PULL_REQUESTS, instead)]


def _plan_environment(state: RepositoryState, base: str, name: str, reviewers: tuple[tuple[str, int], ...]) -> list[RepositoryChange]:
    there = state.environments.get(name)
    changes = []
    by_hand = state.private and state.variables.get("PUSHLINE_APPROVAL") == "dispatch"  # the plan has no reviewers: it was tried
    if there is None or not (set(there.reviewers) == set(reviewers) or by_hand) or not there.branches:
        said = f", approved by {len(reviewers)} reviewers" if reviewers else ""
        nobody = {"reviewers": None, "deployment_branch_policy": MAIN_ONLY}
        body = {**nobody, "reviewers": [{"type": kind, "id": number} for kind, number in reviewers]} if reviewers else nobody
        what = f"environment {name}: only from {state.default_branch}{said}"
        changes.append(RepositoryChange(what, "PUT", f"{base}/environments/{name}", body, NO_REVIEWERS, nobody if reviewers else None))
    if there is None or state.default_branch not in there.branches:
        what, branch = f"environment {name}: branch {state.default_branch} may use it", {"name": state.default_branch, "type": "branch"}
        changes.append(RepositoryChange(what, "POST", f"{base}/environments/{name}/deployment-branch-policies", branch, NO_ENVIRONMENTS))
    return changes


def _plan_ruleset(state: RepositoryState, base: str) -> list[RepositoryChange]:
    """Nobody may approve a pull request of their own, so who is alone needs no approval, and passes the checks all the same."""
    body = {
        "name": RULESET,
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": [
            {"type": "deletion"},
            {"type": "non_fast_forward"},
            {
                "type": "required_status_checks",
                "parameters": {
                    "strict_required_status_checks_policy": True,
                    "required_status_checks": [{"context": "checks", "integration_id": GITHUB_ACTIONS}],
                },
            },
            {
                "type": "pull_request",
                "parameters": {
                    "required_approving_review_count": 0 if state.alone else 1,
                    "dismiss_stale_reviews_on_push": True,
                    "require_code_owner_review": not state.alone,
                    "require_last_push_approval": False,
                    "required_review_thread_resolution": False,
                },
            },
        ],
    }
    reviewed = "pull requests whose check `checks` passed (one person alone writes here: run this again when there are more)"
    if not state.alone:
        reviewed = "reviewed pull requests whose check `checks` passed"
    what = f"{state.default_branch} takes only {reviewed}"
    if state.ruleset is None:
        return [RepositoryChange(what, "POST", f"{base}/rulesets", body, NO_RULES)]
    return [] if _holds(state.ruleset, body) else [RepositoryChange(what, "PUT", f"{base}/rulesets/{state.ruleset['id']}", body, NO_RULES)]


def _plan_variable(path: str, name: str, value: str, there: Mapping[str, str], where: str, *, fallback: str = "") -> list[RepositoryChange]:
    if there.get(name) == value:
        return []
    method, place = ("PATCH", f"{path}/{name}") if name in there else ("POST", path)
    return [RepositoryChange(f"variable {name}{where} = {value}", method, place, {"name": name, "value": value}, fallback)]


def _holds(there: Any, wanted: Any) -> bool:
    """True where all that is wanted is there; GitHub adds fields of its own."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(name in there and _holds(there[name], value) for name, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(there, list) and len(there) == len(wanted) and all(any(_holds(t, w) for t in there) for w in wanted)
    return bool(there == wanted)


def _or_refused(path: str) -> list[Any] | None:
    """A list; None where the repository's plan, or who asks, does not have it."""
    try:
        return gh.listed(path)
    except (gh.Forbidden, gh.NotFound):
        return None


def _environment(repository: str, name: str) -> Environment | None:
    base = f"repos/{repository}/environments/{name}"
    try:
        said = gh.api(base)
    except gh.NotFound:
        return None
    rules = [rule for rule in said.get("protection_rules", []) if rule["type"] == "required_reviewers"]
    policy = said.get("deployment_branch_policy") or {}
    branches = gh.listed(f"{base}/deployment-branch-policies", "branch_policies") if policy.get("custom_branch_policies") else []
    return Environment(
        reviewers=tuple((entry["type"], entry["reviewer"]["id"]) for rule in rules for entry in rule["reviewers"]),
        branches=tuple(entry["name"] for entry in branches),
        variables=_variables(f"{base}/variables"),
    )


def _reviewer(name: str) -> tuple[str, int]:
    if "/" in name:
        organisation, team = name.split("/", 1)
        return "Team", gh.api(f"orgs/{organisation}/teams/{team}")["id"]
    return "User", gh.api(f"users/{name}")["id"]


def _variables(path: str) -> dict[str, str]:
    try:
        return {entry["name"]: entry["value"] for entry in gh.listed(path, "variables")}
    except gh.NotFound:
        return {}
