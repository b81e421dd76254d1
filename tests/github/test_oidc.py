"""The beginning of the subjects of GitHub's id-tokens, as each kind of repository has it."""

from typing import Any

import pytest

from pushline.errors import SettingsError
from pushline.github.oidc import prefix_of

ABOUT = {"id": 22, "name": "bank", "full_name": "someone/bank", "owner": {"login": "someone", "id": 11}}


@pytest.mark.parametrize(
    ("said", "prefix"),
    [
        ({"use_default": True}, "repo:someone/bank"),
        ({"use_default": True, "use_immutable_subject": False}, "repo:someone/bank"),
        ({"use_default": True, "use_immutable_subject": True}, "repo:someone@11/bank@22"),
        ({"use_immutable_subject": True, "sub_claim_prefix": "repo:someone@11/bank@22:"}, "repo:someone@11/bank@22"),
        ({"use_default": False, "include_claim_keys": ["repo", "context"]}, "repo:someone/bank"),
    ],
)
def test_the_prefix_is_the_one_github_sends(said: dict[str, Any], prefix: str) -> None:
    assert prefix_of(ABOUT, said) == prefix


def test_a_subject_put_together_otherwise_is_refused() -> None:
    with pytest.raises(SettingsError, match="--subject-prefix"):
        prefix_of(ABOUT, {"use_default": False, "include_claim_keys": ["job_workflow_ref"]})
