"""Tests through the real parts; MLflow's telemetry is off before anything imports MLflow."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
