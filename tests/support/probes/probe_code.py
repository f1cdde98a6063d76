"""A stage that imports code."""

import secret  # noqa: F401
