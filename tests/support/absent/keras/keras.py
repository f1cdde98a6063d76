"""Takes the place of keras."""

raise ImportError("keras, which is not needed here")
