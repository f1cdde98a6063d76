"""Parameters with types and ranges: invalid values are refused before any work begins."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from reid.common.errors import UserError, listed


class Settings(BaseModel):
    """Base of all groups of parameters: unknown names and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


AnySettings = TypeVar("AnySettings", bound=Settings)


def checked(kind: type[AnySettings], values: dict[str, Any], origin: str) -> AnySettings:
    """Turn the values of parameters into settings.

    Args:
        kind: the class of the settings.
        values: the values by name, nested as in ``params.yaml``.
        origin: where the values come from. The error message begins with it.

    Raises:
        UserError: a value is missing, unknown, out of range or of the wrong type. The message has
            one line per value.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as e:
        lines = [
            f"  {'.'.join(map(str, error['loc'])) or 'value'}: {error['msg']}"
            + ("" if error["type"] == "missing" else f" (got {error['input']!r})")
            for error in e.errors()
        ]
        values_listed = listed(lines, separator="\n")
        raise UserError(f"{origin}: correct these parameters:\n{values_listed}") from e
