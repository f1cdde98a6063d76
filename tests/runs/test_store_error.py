"""The messages about a store that can't be used."""

import pytest
from mlflow import MlflowClient

from runs.store_error import complaint
from tests.support.mlflow_server import free_port


def test_refused_connection_is_reported_in_the_systems_words() -> None:
    client = MlflowClient(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Exception, match="Max retries exceeded") as raised:
        client.search_experiments()
    assert complaint(raised.value) == "[Errno 111] Connection refused"


def test_unknown_host_is_reported_in_the_systems_words() -> None:
    with pytest.raises(Exception, match="Max retries exceeded") as raised:
        MlflowClient("http://no-such-host.invalid").search_experiments()
    assert len(complaint(raised.value)) < 80


def test_other_error_is_reported_in_its_own_words() -> None:
    error = PermissionError("not yours\nand more")
    error.__cause__ = FileNotFoundError("a cache that is not there")
    assert complaint(error) == "not yours"
