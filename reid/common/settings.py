"""Parameters with types and ranges: nonsense is refused before any work begins."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from reid.common.errors import UserError


class Settings(BaseModel):
    """Base of all groups of parameters: unknown names and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


AnySettings = TypeVar("AnySettings", bound=Settings)


def checked(kind: type[AnySettings], values: dict[str, Any], origin: str) -> AnySettings:
    """Make settings of parameter values.

    Args:
        kind: the settings to make.
        values: names and values, nested as in ``params.yaml``.
        origin: where the values stand, for the message.

    Raises:
        UserError: one line for each value that is missing, unknown, of a wrong type or range.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as e:
        lines = [
            f"  {'.'.join(map(str, error['loc'])) or 'value'}: {error['msg']}"
            + ("" if error["type"] == "missing" else f" (got {error['input']!r})")
            for error in e.errors()
        ]
        raise UserError("\n".join([f"{origin}: mend these parameters:", *lines])) from e
