"""A stage that reads the file of parameters as a file that DVC tracks."""

import dvc.api

dvc.api.read("params.yaml")
