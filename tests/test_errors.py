"""What users are told, and what not."""

from pathlib import Path

import pytest

from reid.errors import UserError, first_line, without_credentials
from reid.run_store import RunStore


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:secret@host:5000/a", "http://host:5000/a"),
        ("mysql+pymysql://me:se@cret@host/db", "mysql+pymysql://host/db"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("no URL, but me@host", "no URL, but me@host"),
    ],
)
def test_urls_are_shown_without_user_and_password(text: str, shown: str) -> None:
    assert without_credentials(text) == shown
    assert first_line(OSError(f"{text}\nand more")) == shown


def test_store_that_is_down_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    with pytest.raises(UserError, match=r"store http://127\.0\.0\.1:9 can't be read") as raised:
        RunStore(tmp_path)
    assert "secret" not in str(raised.value)
