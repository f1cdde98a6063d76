"""From features to ranks: a change here changes every figure."""
