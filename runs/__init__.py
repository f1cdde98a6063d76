"""Which run a result is, where it came from, and whether it is alive; determines no result."""
