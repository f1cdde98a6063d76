"""Does the committed result come out again? Run in a clean clone after ``dvc repro``.

The data stages must give the same bytes. Models depend on the kind of processor, so metrics may
differ by ``TOLERANCE``, about twice of what AVX2 and AVX-512 made of the sample (docs/results.md).
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

DATA_STAGES = ("ingest", "validate", "split")
MODELS = ("baseline", "triplet")
FIGURES = ("rank1", "rank5", "rank10", "mAP", "mAP_official", "mINP")
COUNTS = ("queries", "queries_without_match", "gallery", "junk", "distractors")
TOLERANCE = 0.08


def committed(path: str) -> str:
    """The content of a file in the last commit."""
    return subprocess.run(
        ["git", "show", f"HEAD:{path}"], capture_output=True, text=True, check=True
    ).stdout


def outputs(lock: str, stage: str) -> dict[str, str]:
    """The md5 of each output of a stage in a ``dvc.lock``."""
    outs: list[dict[str, Any]] = yaml.safe_load(lock)["stages"][stage]["outs"]
    return {out["path"]: out["md5"] for out in outs}


def main() -> None:
    """Print what differs; exit with status 1 where it differs too much."""
    problems = []
    now, before = Path("dvc.lock").read_text(encoding="utf-8"), committed("dvc.lock")
    for stage in DATA_STAGES:
        if outputs(now, stage) != outputs(before, stage):
            problems.append(f"{stage}: {outputs(before, stage)} became {outputs(now, stage)}")
    for path in (Path("metrics") / f"{model}.json" for model in MODELS):
        old, new = json.loads(committed(str(path))), json.loads(path.read_text(encoding="utf-8"))
        for figure in FIGURES:
            moved = new[figure] - old[figure]
            if abs(moved) > TOLERANCE:
                problems.append(f"{path}: {figure} moved by {moved:+.4f}, from {old[figure]:.4f}")
        problems += [
            f"{path}: {key} was {old[key]}, is {new[key]}" for key in COUNTS if new[key] != old[key]
        ]
    same = "the same bytes" if now == before else f"metrics within {TOLERANCE}"
    if problems:
        sys.exit("\n".join(["error: the committed result does not come out again:", *problems]))
    sys.stdout.write(f"the committed result came out again: {same}\n")


if __name__ == "__main__":
    main()
