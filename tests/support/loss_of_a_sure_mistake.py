"""Print the softmax loss of logits that are sure of the wrong person.

Runs in a process of its own, because Keras takes its backend from the environment when it is
imported.
"""

import sys

from reid.model.backend import keras
from reid.training.compiling import compiled
from reid.training.objective import Objective
from tests.support.small_training import PEOPLE, TINY, network, plan

SURENESS = 40.0
"""By how much the logit of the wrong person exceeds all others."""


def main() -> None:
    """Ask for the loss that a compiled network has."""
    model = compiled(network(TINY), plan(1, Objective(label_smoothing=0.0)))
    logits = keras.ops.convert_to_tensor([[0.0] * (PEOPLE - 1) + [SURENESS]])
    loss = model.loss["softmax"](keras.ops.eye(PEOPLE)[:1], logits)
    sys.stdout.write(f"{float(loss)}\n")


if __name__ == "__main__":
    main()
