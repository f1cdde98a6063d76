"""A network compiled for training: its losses, its optimizer and the batches that it sees."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from reid.model.backend import keras
from reid.model.network import BACKBONE, EMBEDDING, FEATURE, LOGITS, compute_type
from reid.model.portable import PortableUnitNormalization
from reid.training.augmentation import Augmentation, augment
from reid.training.folds import Fold
from reid.training.losses import TeacherLoss, Triplet
from reid.training.objective import Objective
from reid.training.optimisation import Optimisation

SOFTMAX, TRIPLET, TEACHER = "softmax", "triplet", "teacher"


@dataclass(frozen=True)
class Plan:
    """How a network is trained, and for how long."""

    epochs: int
    optimisation: Optimisation
    augmentation: Augmentation
    objective: Objective
    batches: Callable[[np.ndarray, int], np.ndarray]
    """The function from the labels of the images to learn from, int (n,), and an epoch (from 0) to
    image numbers, int (batches, batch size)."""
    seed: int

    def for_refit(self, epochs: int) -> "Plan":
        """Return the plan of a training that goes on from a trained network: nothing is frozen."""
        how = self.optimisation
        thawed = how.settings.model_copy(update={"frozen_epochs": 0})
        return replace(self, epochs=epochs, optimisation=replace(how, settings=thawed))


def build_optimizer(optimisation: Optimisation) -> keras.optimizers.Optimizer:
    """Return the optimizer, with its moving average of the weights; only kernels decay."""
    how = optimisation.settings
    common = {
        "learning_rate": optimisation.lr,
        "weight_decay": how.weight_decay or None,
        "use_ema": how.average > 0,
        "ema_momentum": how.average,
    }
    if how.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=how.momentum, nesterov=how.momentum > 0, **common)
    else:
        optimizer = keras.optimizers.Adam(**common)
    if how.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias", "power"])
    return optimizer


def compiled(network: keras.Model, plan: Plan, frozen: bool = False) -> keras.Model:
    """Compile a network with its losses and its optimizer.

    Args:
        network: the model that ``build_network`` makes; its layers are shared and changed.
        plan: how to train.
        frozen: whether the backbone stays as it is.

    Returns:
        A model with the output ``softmax``, logits (n, classes); if the objective has a margin,
        ``triplet``, features (n, d) of length 1; if the teacher's loss has a weight, ``teacher``,
        embeddings (n, d) of length 1.
    """
    backbone = network.get_layer(BACKBONE)
    backbone.trainable = not frozen
    # Averaged weights need batch statistics that are averaged over as many steps.
    for layer in (*backbone.layers, *network.layers):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = max(layer.momentum, plan.optimisation.settings.average)
    outputs = {SOFTMAX: network.output[LOGITS]}
    losses: dict[str, keras.losses.Loss] = {
        # From logits: Keras under JAX clips probabilities near 0, and with them their gradients.
        SOFTMAX: keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=plan.objective.label_smoothing
        )
    }
    weights = {SOFTMAX: 1.0}
    if plan.objective.margin is not None:
        normalise = PortableUnitNormalization(name=TRIPLET, dtype="float32")
        outputs[TRIPLET] = normalise(network.output[FEATURE])
        losses[TRIPLET] = Triplet(plan.objective.margin, plan.objective.mining)
        weights[TRIPLET] = plan.objective.triplet_weight
    if plan.objective.teacher_weight:
        outputs[TEACHER] = network.output[EMBEDDING]
        losses[TEACHER] = TeacherLoss()
        weights[TEACHER] = plan.objective.teacher_weight
    optimizer = build_optimizer(plan.optimisation)
    if compute_type(network) == "float16":
        # Unless they are scaled, small gradients are 0 in half precision.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model = keras.Model(network.input, outputs)
    model.compile(
        optimizer=optimizer,
        loss=losses,
        loss_weights=weights,
        metrics={SOFTMAX: ["accuracy"]},
        jit_compile=keras.backend.backend() == "jax",
    )
    optimizer.build(model.trainable_variables)
    return model


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Give a model the averaged weights inside the block, if its optimizer averages them."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    # Before the first step there is no average. Half precision skips steps that overflow.
    if not optimizer.use_ema or not int(optimizer.iterations):
        yield
        return
    variables = model.trainable_variables
    weights = _copied(variables)
    optimizer.finalize_variable_values(variables)
    # A step of JAX may reuse the memory of a variable, so the averages need memory of their own.
    assign(variables, _copied(variables))
    try:
        yield
    finally:
        assign(variables, weights)


def _copied(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable).copy() for variable in variables]


def assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    """Give each variable its value. Raise ValueError if there are more of one than of the other."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def targets(
    model: keras.Model, fold: Fold, rows: np.ndarray | slice = slice(None)
) -> dict[str, np.ndarray]:
    """Return what each loss compares a model's outputs with, for n rows of a fold.

    For the softmax these are one-hot labels (n, classes), for the triplets labels (n,), for the
    teacher's loss the teacher's embeddings (n, d).
    """
    labels = fold.labels[rows]
    classes = model.output[SOFTMAX].shape[-1]
    forms = {
        SOFTMAX: np.eye(classes, dtype=np.float32)[labels],
        TRIPLET: labels,
        TEACHER: None if fold.teacher is None else fold.teacher[rows],
    }
    return {name: forms[name] for name in model.output}


def make_metrics(model: keras.Model, fold: Fold) -> None:
    """Let a model make the variables of its metrics before its first step on images of a fold.

    If the first step makes them, TensorFlow traces it twice. Under JAX, Keras makes them before.
    """
    if keras.backend.backend() == "tensorflow":
        expected = targets(model, fold, slice(1))
        outputs = {
            name: np.zeros((1, *of.shape[1:]), "float32") for name, of in model.output.items()
        }
        model.compute_loss(y=expected, y_pred=outputs)
        model.compute_metrics(None, expected, outputs)
        model.reset_metrics()


def augmented_batches(
    model: keras.Model, fold: Fold, plan: Plan, first_epoch: int, part: slice = slice(None)
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Yield ``part`` of each batch, from ``first_epoch`` on, without end.

    Each is a pair: images, uint8 (n, height, width, 3), and their ``targets``.
    """
    for epoch in count(first_epoch):
        rng = np.random.default_rng([plan.seed, epoch, 1])
        for rows in plan.batches(fold.labels, epoch):
            images = augment(fold.images[rows], plan.augmentation, rng)
            yield images[part], targets(model, fold, rows[part])
