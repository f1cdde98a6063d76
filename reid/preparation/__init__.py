"""From photos to a split data set. It runs before any training."""
