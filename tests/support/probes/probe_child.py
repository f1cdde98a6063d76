"""A stage that reads a file with another program."""

import subprocess

subprocess.run(["cat", "secret.txt"], check=True)
