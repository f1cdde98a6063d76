"""A trained model used on photos."""
