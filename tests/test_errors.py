import inspect

import pytest

from pushline import errors
from pushline.errors import DataError, GateClosed, PushlineError, SettingsError, TargetError

FAMILIES = {GateClosed: 1, SettingsError: 2, DataError: 3, TargetError: 4}


def all_errors() -> list[type[PushlineError]]:
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PushlineError)]
    return [kind for kind in found if kind is not PushlineError]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_belongs_to_one_family_and_has_its_exit_code(kind: type[PushlineError]) -> None:
    families = [family for family in FAMILIES if issubclass(kind, family)]
    assert len(families) == 1
    assert kind.exit_code == FAMILIES[families[0]]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_stands_in_the_picture_of_the_tree(kind: type[PushlineError]) -> None:
    assert kind.__name__ in (errors.__doc__ or "")


def test_an_error_reads_as_what_why_and_do() -> None:
    assert str(SettingsError("It stopped.", why="Because.", do="Mend it.")) == "It stopped.\nBecause.\nMend it."
