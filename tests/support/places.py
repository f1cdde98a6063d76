"""Where the repository, the tests' fixtures and the data beside the checkout lie."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "support" / "fixtures"
SHARED = ROOT.parent / "shared"
"""Not part of the repository: a test that needs it is skipped where it is absent."""
