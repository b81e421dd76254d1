"""What a container is told by the settings of serving."""

from pathlib import Path

from pushline.azure.definition import serve_command, serving_variables
from pushline.results import Release
from pushline.settings import Serving


def test_a_container_keeps_no_rows_and_is_told_all_else() -> None:
    """Kept rows would end with the container; and a service that is told to keep some without being told where refuses to start."""
    assert serving_variables(Serving(record=0.5, explain=True, port=9000)) == {"PUSHLINE_SERVING__EXPLAIN": "True"}
    release = Release(id="v1", model=Path("/model"), model_name="m", model_version="1", git_revision="r")
    assert "--records" not in serve_command(release, workers=1)
