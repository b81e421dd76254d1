from pathlib import Path

import pytest

from pushline.errors import SettingsError
from pushline.settings import PushlineSettings, load_settings, seconds


def write(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_project_without_settings_has_the_defaults(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, ""), {}) == PushlineSettings()


def test_a_variable_overlays_the_file(tmp_path: Path) -> None:
    folder = write(tmp_path, "[tool.pushline.load]\nrate = 5\n")
    settings = load_settings(folder, {"PUSHLINE_LOAD__RATE": "7.5", "PUSHLINE_TARGET": "aci"})
    assert (settings.load.rate, settings.target) == (7.5, "aci")


def test_variables_that_are_not_settings_are_left_alone(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, ""), {"PUSHLINE_DATA": "/data"}) == PushlineSettings()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[tool.pushline]\ntargt = 'local'\n", "targt"),
        ("[tool.pushline]\ntarget = 'moon'\n", "$.target"),
        ("[tool.pushline.load]\nrate = 0\n", "$.load.rate"),
        ("[tool.pushline.load]\nrate = 'many'\n", "$.load.rate"),
        ("[tool.pushline\n", "line 1"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path, text), {})
    assert named in str(caught.value)


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path, ""), {"PUSHLINE_LOAD__RATE": "many"})
    assert "PUSHLINE_LOAD__RATE" in str(caught.value)


def test_a_variable_below_a_plain_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        load_settings(write(tmp_path, "[tool.pushline]\ntarget = 'local'\n"), {"PUSHLINE_TARGET__X": "1"})


def test_container_groups_and_a_private_network_exclude_each_other(tmp_path: Path) -> None:
    folder = write(tmp_path, "[tool.pushline.azure]\nprivate_network = true\n")
    assert load_settings(folder, {"PUSHLINE_TARGET": "containerapps"}).azure.private_network
    with pytest.raises(SettingsError, match="containerapps"):
        load_settings(folder, {"PUSHLINE_TARGET": "aci"})


@pytest.mark.parametrize(("text", "value"), [("45s", 45), ("10m", 600), ("2h", 7200), ("30", 30), ("1.5m", 90)])
def test_durations_are_read(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "0s", "-5s", "soon", "nan", "inf", "5d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        seconds(text)
