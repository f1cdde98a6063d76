"""Which run a result is, where it came from, and whether it is alive; determines no result."""

import os

# MLflow reads these when it is imported. A server that is down must not delay a stage for minutes,
# and progress bars for files of a few kilobytes would clutter the stages' own lines.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
