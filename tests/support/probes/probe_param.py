"""A stage that reads a parameter by DVC."""

import dvc.api

dvc.api.params_show()["hidden"]["depth"]
