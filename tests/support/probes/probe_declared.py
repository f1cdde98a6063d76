"""A stage that reads a file and a parameter that it declares."""

from pathlib import Path

import dvc.api

Path("known.txt").read_text(encoding="utf-8")
dvc.api.params_show(stages="declared")["lr"]
