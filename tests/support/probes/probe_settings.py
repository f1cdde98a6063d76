"""A stage that reads a parameter through settings."""

from reid.common.settings import Settings
from stages._stage import declared


class Hidden(Settings):
    """A group of parameters."""

    depth: int


class Params(Settings):
    """All parameters."""

    lr: float
    hidden: Hidden


depth = declared("other", Params).hidden.depth
