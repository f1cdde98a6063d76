"""Judges a data set; the only place that uses Great Expectations."""
