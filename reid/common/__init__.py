"""Files, errors and settings: knows nothing of people, photos or models."""
