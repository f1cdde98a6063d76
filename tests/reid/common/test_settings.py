"""Invalid parameters are refused, each in one line."""

import re

import pytest
from pydantic import Field

from reid.common.errors import UserError
from reid.common.settings import Settings, checked


class Inner(Settings):
    size: int = Field(ge=1)


class Outer(Settings):
    rate: float
    inner: Inner


def test_valid_values_become_settings() -> None:
    settings = checked(Outer, {"rate": 0.5, "inner": {"size": 2}}, "params.yaml")
    assert settings == Outer(rate=0.5, inner=Inner(size=2))


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"rate": 0.5}, "inner: Field required"),
        ({"rate": 0.5, "inner": {"size": 0}}, "inner.size: Input should be .* equal to 1 (got 0)"),
        ({"rate": "1", "inner": {"size": 2}}, "rate: Input should be a valid number (got '1')"),
        ({"rate": float("nan"), "inner": {"size": 2}}, "rate: .* finite number (got nan)"),
        ({"rate": 0.5, "inner": {"size": 2}, "x": 1}, "x: Extra inputs .* (got 1)"),
    ],
)
def test_invalid_value_is_named_with_its_place_and_reason(
    values: dict[str, object], line: str
) -> None:
    pattern = re.escape(line).replace(r"\.\*", ".*")
    with pytest.raises(UserError, match=rf"^params\.yaml: correct these parameters:\n  {pattern}$"):
        checked(Outer, values, "params.yaml")


def test_only_the_first_ten_invalid_values_are_listed() -> None:
    unknown = {f"x{number}": 1 for number in range(15)}
    with pytest.raises(UserError) as raised:
        checked(Outer, {"rate": 0.5, "inner": {"size": 2}, **unknown}, "params.yaml")
    assert str(raised.value).count("Extra inputs") == 10
    assert str(raised.value).endswith("\nand 5 more")
