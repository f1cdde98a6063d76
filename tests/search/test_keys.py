import pytest

from reid.common.errors import UserError
from search.service.keys import LOCAL, Caller, parse_keys

TEXT = "anna:a-secret-of-20-letters, door:another-long-secret:read"


def test_keys_have_names_and_rights() -> None:
    keys = parse_keys(TEXT)
    assert keys.caller("a-secret-of-20-letters") == Caller("anna", may_write=True)
    assert keys.caller("another-long-secret") == Caller("door", may_write=False)
    assert keys.caller("another-long-secret:read") is None
    assert keys.caller("") is None


def test_everybody_is_local_without_keys() -> None:
    keys = parse_keys(" ")
    assert not keys.are_required
    assert keys.caller("") == LOCAL


@pytest.mark.parametrize(
    "text",
    [
        "anna",
        "anna:short",
        ":a-secret-of-20-letters",
        "anna:a-secret-of-20-letters:admin",
        "anna:a-secret-of-20-letters,anna:another-long-secret",
        "anna:a-secret-of-20-letters,berta:a-secret-of-20-letters",
    ],
)
def test_list_that_can_not_be_used_is_refused_without_its_secrets(text: str) -> None:
    with pytest.raises(UserError, match="REID_API_KEYS") as error:
        parse_keys(text)
    assert "a-secret-of-20-letters" not in str(error.value)
