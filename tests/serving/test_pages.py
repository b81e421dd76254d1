"""The pages of the documentation."""

import pytest

from pushline.serving.pages import pages_of, takes_gzip


def test_what_is_packed_is_unpacked_once() -> None:
    page = pages_of(b'{"info": {"title": "t"}}')[b"/docs/swagger-ui-bundle.js"]
    assert page.plain() is page.plain()
    assert page.for_client(b"gzip")[0] is page.packed


@pytest.mark.parametrize(
    ("accepts", "taken"),
    [(b"gzip", True), (b"br, GZIP ;q=0.5", True), (b"deflate, gzip;q=1.0", True), (b"gzip;q=0", False), (b"gzip;q=0.00", False),
     (b"identity", False), (b"", False), (b"x-gzip", False)],
)  # fmt: skip
def test_gzip_is_sent_to_those_who_take_it(accepts: bytes, taken: bool) -> None:
    assert takes_gzip(accepts) is taken
