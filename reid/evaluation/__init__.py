"""What is said about a ranking: intervals, breakdowns, pictures, re-ranking."""
