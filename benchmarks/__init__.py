"""Time and memory, measured; the tests never assert either."""
