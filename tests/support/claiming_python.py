"""A Python that says that it has the version ``CLAIMED``.

It runs a program (``-c PROGRAM``) or makes an environment (``-m venv FOLDER``).
"""

import os
import runpy
import sys

if sys.argv[1] == "-c":
    sys.version_info = tuple(map(int, os.environ["CLAIMED"].split(".")))  # type: ignore[assignment]
    exec(sys.argv[2])
else:
    sys.argv = ["venv", "--without-pip", *sys.argv[3:]]
    runpy.run_module("venv", run_name="__main__")
