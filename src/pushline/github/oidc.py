"""What GitHub's id-tokens of this repository say of who asks: the beginning of their subject."""

from collections.abc import Mapping
from typing import Any

from pushline.errors import SettingsError
from pushline.github import gh

# Both spell out repository and environment, which is what an identity is bound to.
USUAL = ["repo", "context"]


def subject_prefix() -> str:
    """`repo:OWNER/NAME`, or with the numbers that never change, `repo:OWNER@1/NAME@2`: as GitHub says it will send it.

    Raises SettingsError where gh is missing or not logged in, or the repository's subjects are put together otherwise.
    """
    repository = gh.repository()
    return prefix_of(gh.api(f"repos/{repository}"), gh.api(f"repos/{repository}/actions/oidc/customization/sub"))


def prefix_of(about: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """The prefix that follows from what GitHub says of the repository and of its subjects."""
    keys = said.get("include_claim_keys") or USUAL
    if not said.get("use_default", True) and keys != USUAL:
        raise SettingsError(
            "The subjects of this repository's id-tokens are put together in a way of its own.",
            why=f"GitHub says they hold {', '.join(keys)}.",
            do="Set them back to the default (actions/oidc/customization/sub), or give --subject-prefix.",
        )
    if said.get("sub_claim_prefix"):
        return str(said["sub_claim_prefix"]).rstrip(":")
    if said.get("use_immutable_subject"):
        return f"repo:{about['owner']['login']}@{about['owner']['id']}/{about['name']}@{about['id']}"
    return f"repo:{about['full_name']}"
