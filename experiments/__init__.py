"""Many results at once: how to make, compare and reproduce them."""
