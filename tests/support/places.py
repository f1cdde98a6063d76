"""Where the repository, the tests' fixtures and the data beside the checkout lie."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
FIXTURES = SUPPORT / "fixtures"
SHARED = ROOT.parent / "shared"
"""Not part of the repository: a test that needs it is skipped where it is absent."""
MARKET_NAMES = SHARED / "data" / "market1501_filenames.txt"
"""The 36,036 file names of Market-1501; not in the repository."""
