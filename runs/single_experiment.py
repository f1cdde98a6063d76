"""``dvc exp run --temp --name NAME ...`` that runs this experiment and no other.

DVC hands experiments over in a stash that all processes share, and one process runs whatever lies
there until it is empty. A run that ends would also take an experiment that another process has just
put there. So this program shows DVC only the experiment with its own name.
"""

import sys

from dvc.cli import main as dvc
from dvc.repo.experiments.stash import ExpStash, ExpStashEntry


def show_only(name: str) -> None:
    """Let DVC in this process see no stashed experiment but the one with this name."""
    everything = ExpStash.stash_revs.fget
    assert everything is not None

    def own(stash: ExpStash) -> dict[str, ExpStashEntry]:
        return {rev: entry for rev, entry in everything(stash).items() if entry.name == name}

    ExpStash.stash_revs = property(own)


def main() -> int:
    """Run DVC with this program's arguments, and return its exit status."""
    arguments = sys.argv[1:]
    show_only(arguments[arguments.index("--name") + 1])
    return int(dvc(arguments))


if __name__ == "__main__":
    sys.exit(main())
