"""Print the fingerprint of the project in the current folder."""

import sys

from runs.fingerprint import fingerprint

sys.stdout.write(fingerprint())
