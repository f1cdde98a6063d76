"""Messages to users: passwords are removed, and long lists end."""

import pytest

from reid.common.errors import first_line, listed, without_credentials


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


def test_error_without_a_message_is_named_by_its_type() -> None:
    assert first_line(TimeoutError()) == "TimeoutError"


def test_list_has_ten_entries_and_says_how_many_more_there_are() -> None:
    words = [str(number) for number in range(1_500)]
    assert listed(words[:10]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert listed(words) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 1,490 more"
    assert listed(words[:3], limit=2, separator="\n") == "0\n1\nand 1 more"
