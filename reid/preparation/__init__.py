"""From photos to a split data set: runs before any training, imported by nothing after it."""
