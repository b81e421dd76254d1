"""What every target owes, through real requests."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pushline.errors import ModelUnreadable, TargetError
from pushline.progress import silent
from pushline.release.smoke import assertions_on, passed
from pushline.release.target import Endpoint, Target
from pushline.serving.client import Client
from pushline.serving.model_folder import MATRIX, read_golden

from .conftest import ReleaseOf, deliver

pytestmark = pytest.mark.slow
ReleaseAt = Callable[[Endpoint], str]


@pytest.fixture
def release_at(target: Target, release: ReleaseOf) -> ReleaseAt:
    """Which release answers a score at an endpoint; empty where none does."""
    row = read_golden(Path(release(1).model))[0].row
    return lambda endpoint: Client(endpoint.url).score([row], target.keys().primary).headers.get("x-release", "")


def test_a_target_without_a_release_says_so(target: Target) -> None:
    found = target.status()
    assert (found.live, found.candidate, found.previous) == (None, None, None)
    assert target.discard(silent) is False
    assert target.stop(silent) is False


def test_a_candidate_answers_beside_the_live_release(target: Target, release: ReleaseOf, release_at: ReleaseAt) -> None:
    live = deliver(target, release(1))
    candidate = target.deploy_candidate(release(2), silent)
    assert candidate.url != live.url
    assert (release_at(live), release_at(candidate)) == ("v1-test", "v2-test")
    found = target.status()
    assert found.live is not None
    assert found.candidate is not None
    assert (found.live.release.id, found.candidate.release.id) == ("v1-test", "v2-test")


def test_promotion_puts_the_candidate_on_the_live_address(target: Target, release: ReleaseOf, release_at: ReleaseAt) -> None:
    first = deliver(target, release(1))
    second = deliver(target, release(2))
    assert second.url == first.url
    assert release_at(second) == "v2-test"
    found = target.status()
    assert found.candidate is None
    assert found.previous is not None
    assert found.previous.id == "v1-test"


def test_a_promoted_release_answers_all_that_smoke_asks(target: Target, release: ReleaseOf) -> None:
    live = deliver(target, release(1))
    seen = assertions_on(live.url, live.release, target.keys())
    assert passed(seen), [assertion for assertion in seen if not assertion.passed]


def test_rollback_brings_the_previous_release_back(target: Target, release: ReleaseOf, release_at: ReleaseAt) -> None:
    deliver(target, release(1))
    deliver(target, release(2))
    deliver(target, release(3))
    assert release_at(target.roll_back(silent)) == "v2-test"
    again = target.roll_back(silent)
    assert release_at(again) == "v1-test"
    seen = assertions_on(again.url, again.release, target.keys())
    assert passed(seen), [assertion for assertion in seen if not assertion.passed]


def test_rollback_without_a_previous_release_changes_nothing(target: Target, release: ReleaseOf, release_at: ReleaseAt) -> None:
    live = deliver(target, release(1))
    with pytest.raises(TargetError, match="no previous release"):
        target.roll_back(silent)
    assert release_at(live) == "v1-test"


def test_a_withdrawn_promotion_leaves_what_was_live_before(target: Target, release: ReleaseOf, release_at: ReleaseAt) -> None:
    deliver(target, release(1))
    deliver(target, release(2))
    back = target.withdraw(silent)
    assert back is not None
    assert release_at(back) == "v1-test"
    assert target.status().previous is None


def test_a_withdrawn_first_promotion_leaves_nothing_live(target: Target, release: ReleaseOf, release_at: ReleaseAt) -> None:
    live = deliver(target, release(1))
    assert target.withdraw(silent) is None
    assert target.status().live is None
    assert release_at(live) == ""


def test_discarding_the_candidate_leaves_the_live_release(target: Target, release: ReleaseOf, release_at: ReleaseAt) -> None:
    live = deliver(target, release(1))
    candidate = target.deploy_candidate(release(2), silent)
    assert target.discard(silent) is True
    assert release_at(candidate) == ""
    assert release_at(live) == "v1-test"
    assert target.status().candidate is None


def test_a_second_candidate_takes_the_place_of_the_first(target: Target, release: ReleaseOf, release_at: ReleaseAt) -> None:
    first = target.deploy_candidate(release(1), silent)
    second = target.deploy_candidate(release(2), silent)
    assert release_at(second) == "v2-test"
    with pytest.raises(TargetError, match="not there any more"):
        target.promote(first, silent)


def test_the_live_release_deployed_again_is_not_its_own_previous(target: Target, release: ReleaseOf, release_at: ReleaseAt) -> None:
    deliver(target, release(1))
    live = deliver(target, release(1))
    assert release_at(live) == "v1-test"
    assert target.status().previous is None


def test_stop_ends_the_live_release_and_the_candidate(target: Target, release: ReleaseOf, release_at: ReleaseAt) -> None:
    live = deliver(target, release(1))
    candidate = target.deploy_candidate(release(2), silent)
    assert target.stop(silent) is True
    assert (release_at(live), release_at(candidate)) == ("", "")
    assert target.status().live is None


def test_a_rollback_is_possible_after_a_stop(target: Target, release: ReleaseOf, release_at: ReleaseAt) -> None:
    deliver(target, release(1))
    deliver(target, release(2))
    target.stop(silent)
    assert release_at(target.roll_back(silent)) == "v1-test"


def test_a_damaged_model_is_refused(target: Target, release: ReleaseOf, tmp_path: Path, release_at: ReleaseAt) -> None:
    live = deliver(target, release(1))
    damaged = shutil.copytree(release(2).model, tmp_path / "damaged")
    content = bytearray((damaged / MATRIX).read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / MATRIX).write_bytes(content)
    with pytest.raises(ModelUnreadable, match="can't be used"):
        target.deploy_candidate(msgspec.structs.replace(release(2), model=str(damaged)), silent)
    assert target.status().candidate is None
    assert release_at(live) == "v1-test"


def test_rotation_keeps_the_key_that_clients_have(target: Target, release: ReleaseOf) -> None:
    live = deliver(target, release(1))
    row = read_golden(Path(live.release.model))[0].row
    before = target.keys()
    after = target.rotate_keys(silent)
    assert after.secondary == before.primary
    assert target.keys() == after
    client = Client(live.url)
    assert [client.score([row], key).status for key in (after.primary, before.primary)] == [200, 200]
    assert client.score([row], before.secondary).status == 401


def test_logs_tell_what_was_refused(target: Target, release: ReleaseOf) -> None:
    live = deliver(target, release(1))
    Client(live.url).score([{"no column has this name": 1}], target.keys().primary)
    for entry in target.logs(since=60, errors=True, follow=True):
        assert entry.release == "v1-test"
        assert entry.level in {"warning", "error"}
        if entry.fields.get("status") == 422:
            break
