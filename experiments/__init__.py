"""Many results: to get them, and to see what they say together."""
