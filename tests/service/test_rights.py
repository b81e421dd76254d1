"""What each key may do at the scoring service: every route of the table with every key."""

from pathlib import Path

import pytest

from pushline.serving.keys import make_keys
from pushline.serving.rights import HOLDER_OF
from service_made import Service


@pytest.mark.parametrize("route", HOLDER_OF)
def test_a_key_opens_what_the_table_says_and_nothing_else(service: Service, tmp_path: Path, route: str) -> None:
    method, path = route.split()
    others = make_keys(tmp_path / "pipelines-keys.json")
    holders = {None: "anyone", others.primary: "pipelines", others.secondary: "pipelines"}
    holders |= {service.keys.primary: "scoring", service.keys.secondary: "scoring"}
    for key, holder in holders.items():
        status = service.request(b"{}" if method == "POST" else b"", method=method, path=path, key=key).status
        if HOLDER_OF[route] == "pipelines":
            assert status == 404
        else:
            assert (status == 401) == (HOLDER_OF[route] not in ("anyone", holder)), (route, holder)
            assert status != 404
