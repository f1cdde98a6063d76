"""Judge a data set. This is the only place that uses Great Expectations."""
