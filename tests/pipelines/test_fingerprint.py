from pathlib import Path

import pytest

from pushline.pipelines.fingerprint import packages_hash


def test_a_package_of_another_version_is_another_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    seen = {packages_hash()}
    installed = tmp_path / "shoes-1.0.dist-info"
    installed.mkdir()
    seen.add(packages_hash())
    installed.rename(tmp_path / "shoes-1.1.dist-info")
    seen.add(packages_hash())
    assert len(seen) == 3
    assert packages_hash() in seen
