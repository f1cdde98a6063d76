"""A stage that reads the file of parameters with a function of DVC."""

from dvc.utils.serialize import load_yaml

load_yaml("params.yaml")
