"""Judges and shows rankings: intervals, breakdowns, pictures, re-ranking."""
