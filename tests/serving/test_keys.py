"""Keys are compared whole, read anew when their file is replaced, and never shown."""

from pathlib import Path

import pytest

from pushline.errors import SettingsError
from pushline.files import write_atomically
from pushline.serving.keys import KeyRing, make_keys, read_keys


def test_made_keys_are_for_their_owner_and_shown_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    keys = make_keys(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert keys.primary != keys.secondary
    assert keys.primary not in repr(keys) + str(keys)


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer  {}"])
def test_the_scheme_may_be_written_in_any_case(tmp_path: Path, header: str) -> None:
    keys = make_keys(tmp_path / "keys.json")
    ring = KeyRing(tmp_path / "keys.json")
    assert ring.accepts(header.format(keys.primary).encode())
    assert ring.accepts(header.format(keys.secondary).encode())


@pytest.mark.parametrize("header", ["", "{}", "Basic {}", "Bearer", "Bearer ", "Bearer {}x", "Bearer x{}", "Bearer {} {}", "Token {}"])
def test_anything_else_is_refused(tmp_path: Path, header: str) -> None:
    keys = make_keys(tmp_path / "keys.json")
    assert not KeyRing(tmp_path / "keys.json").accepts(header.format(keys.primary, keys.secondary).encode())


def test_a_replaced_file_counts_at_once_and_a_damaged_one_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    old = make_keys(file)
    ring = KeyRing(file)
    new = make_keys(file)
    assert ring.accepts(f"Bearer {new.primary}".encode())
    assert not ring.accepts(f"Bearer {old.primary}".encode())
    write_atomically(file, b"{", mode=0o600)
    assert ring.accepts(f"Bearer {new.primary}".encode())
    ring.refresh()
    assert "can't be used" in ring.fault
    file.unlink()
    assert ring.accepts(f"Bearer {new.secondary}".encode())


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"primary": "short", "secondary": "also-short"}', '{"primary": "a-key-of-enough-length"}',
     '{"primary": "a key with blanks in it", "secondary": "a-key-of-enough-length"}'],
)  # fmt: skip
def test_a_file_that_holds_no_two_keys_is_refused_without_quoting_it(tmp_path: Path, content: str) -> None:
    write_atomically(tmp_path / "keys.json", content.encode(), mode=0o600)
    with pytest.raises(SettingsError) as caught:
        read_keys(tmp_path / "keys.json")
    assert "a-key-of-enough-length" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_variable_stands_in_for_a_file_that_can_not_be_read_and_for_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = make_keys(tmp_path / "mounted.json")
    handed = make_keys(tmp_path / "handed.json")
    monkeypatch.setenv("PUSHLINE_KEYS", (tmp_path / "handed.json").read_text())
    assert read_keys(tmp_path / "mounted.json") == mounted
    assert read_keys(tmp_path / "missing.json") == handed
    write_atomically(tmp_path / "mounted.json", b"{", mode=0o600)
    with pytest.raises(SettingsError):
        read_keys(tmp_path / "mounted.json")
