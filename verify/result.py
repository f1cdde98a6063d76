"""The files of a result, ``dvc.lock`` and the metrics, in a folder or in a commit."""

import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from reid.common.errors import UserError, first_line
from reid.data.paths import LOCK, MODELS, TRIPLET, metrics_file
from reid.data.protocols import Protocol, protocol_of

PORTABLE = {
    f"train_{TRIPLET}: processor": ("any",),
    f"train_{TRIPLET}: backend": ("tensorflow",),
    f"train_{TRIPLET}: precision": ("float32",),
    f"extract@{TRIPLET}: extract.engine": ("openvino", "keras"),
}
"""The values of parameters with which bytes do not depend on the processor."""
RANKING = f"evaluate@{TRIPLET}: evaluate"


@dataclass(frozen=True)
class ResultFiles:
    """The files that say what a run of the pipeline made."""

    lock: str
    """The text of ``dvc.lock``."""
    metrics: Mapping[str, Mapping[str, float]]
    """The content of ``metrics/<model>.json`` by model."""

    @cached_property
    def named_metrics(self) -> dict[str, float]:
        """All metrics under names like ``triplet/rank1``."""
        return {
            f"{model}/{metric}": value
            for model, metrics in self.metrics.items()
            for metric, value in metrics.items()
        }

    @property
    def protocol(self) -> Protocol:
        """The protocol of the figures. Both models have the same."""
        return protocol_of(self.metrics[TRIPLET])

    @property
    def is_portable(self) -> bool:
        """Whether the same inputs give the same bytes on each x86-64 processor with AVX2."""
        is_reranked = self.inputs.get(RANKING, {}).get("reranking", {}).get("use")
        return not is_reranked and all(
            self.inputs.get(name) in values for name, values in PORTABLE.items()
        )

    @cached_property
    def lock_md5(self) -> str:
        """The hex digest of ``dvc.lock``."""
        return hashlib.md5(self.lock.encode(), usedforsecurity=False).hexdigest()

    @cached_property
    def _stages(self) -> dict[str, dict[str, Any]]:
        stages: dict[str, dict[str, Any]] = yaml.safe_load(self.lock)["stages"]
        return stages

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The md5 of each file and folder that a stage makes, in the pipeline's order."""
        return {
            out["path"]: out["md5"]
            for stage in self._stages.values()
            for out in stage.get("outs", ())
        }

    @cached_property
    def makers(self) -> dict[str, str]:
        """The stage that makes each output."""
        return {
            out["path"]: name
            for name, stage in self._stages.items()
            for out in stage.get("outs", ())
        }

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """The commands, the parameters, and the md5 of each file that no stage makes."""
        inputs: dict[str, Any] = {}
        for name, stage in self._stages.items():
            inputs[f"{name}: cmd"] = stage["cmd"]
            for values in stage.get("params", {}).values():
                inputs |= {f"{name}: {key}": value for key, value in values.items()}
            for dep in stage.get("deps", ()):
                path = dep["path"]
                if not any(f"{path}/".startswith(f"{out}/") for out in self.outputs):
                    inputs[f"{name}: {path}"] = dep["md5"]
        return inputs


def _read(content: Callable[[str], str], place: str) -> ResultFiles:
    lock, metrics = content(LOCK), {m: content(metrics_file(m).as_posix()) for m in MODELS}
    try:
        result = ResultFiles(lock, {model: json.loads(text) for model, text in metrics.items()})
        # Parse here, so that damaged files are reported in one place.
        _ = result.outputs, result.named_metrics
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError) as e:
        raise UserError(
            f"{LOCK} or metrics/ of {place} can't be read ({first_line(e)}). Are conflict "
            "markers of a merge left in them?"
        ) from e
    return result


def result_in(folder: Path) -> ResultFiles:
    """Read the result in a project's folder.

    Raises:
        UserError: there is no result, or it can't be read.
    """

    def content(path: str) -> str:
        if not (folder / path).is_file():
            raise UserError(f"{folder / path} is not there. Run `dvc repro` in {folder} first.")
        return (folder / path).read_text(encoding="utf-8")

    return _read(content, str(folder))


def result_of(commit: str, project: Path) -> ResultFiles:
    """Read the result in a commit of a project.

    Raises:
        UserError: there is no such commit, or it has no result that can be read.
    """

    def content(path: str) -> str:
        show = subprocess.run(
            ["git", "show", f"{commit}:{path}"],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        if show.returncode:
            raise UserError(
                f"{path} of commit {commit} can't be read ({show.stderr.strip()}). "
                "A shallow clone lacks other branches: fetch them with `git fetch --unshallow`."
            )
        return show.stdout

    return _read(content, f"commit {commit}")
