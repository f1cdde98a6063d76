"""For PYTHONPATH: a library that must not be needed."""
