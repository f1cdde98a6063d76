"""A stage that reads the file of parameters by itself."""

from pathlib import Path

import yaml

yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
