"""A stage that reads all parameters by DVC."""

import dvc.api

{**dvc.api.params_show()}
