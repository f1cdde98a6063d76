"""Stages that read something, for tests of what is noticed of it."""
