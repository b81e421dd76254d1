import socket

import pytest

from pushline.serving.client import Client, is_loopback


@pytest.mark.parametrize("url", ["http://127.0.0.1:8123", "http://[::1]:8123", "http://localhost:8123"])
def test_this_machine_is_asked_without_a_proxy(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize("url", ["https://example.azurecontainer.io", "http://10.0.0.1", "http://localhost.example.com"])
def test_other_machines_are_asked_through_the_proxy_of_the_environment(url: str) -> None:
    assert not is_loopback(url)


def test_a_proxy_of_the_environment_does_not_stand_before_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        answer = Client(f"http://127.0.0.1:{closed.getsockname()[1]}").get("/readyz")
    assert str(answer) == "no answer (connection refused)"


def test_a_service_that_hangs_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushline.serving.client.AFTER_A_TIMEOUT_S", 0.1)
    with socket.socket() as hanging:
        hanging.bind(("127.0.0.1", 0))
        hanging.listen()
        client = Client(f"http://127.0.0.1:{hanging.getsockname()[1]}", timeout_s=0.3)
        assert str(client.get("/readyz")) == "no answer (timed out)"
        assert client.timeout_s == 0.1
        assert client.get("/readyz").status == 0
