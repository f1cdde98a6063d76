"""Stands in for TensorFlow where it must not be needed: it can't be imported."""

raise ImportError("TensorFlow, where another backend computes")
