"""Training on several devices, of one machine or of several, which share each batch.

Keras's distribution API does this under JAX. Each device holds all weights and computes its part of
a batch, but a step is one program over the whole batch: triplets are mined among all its images,
and batch norm takes its statistics from all of them. So the losses are those of one device, except
for rounding.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from reid.common.errors import UserError, first_line
from reid.model.backend import keras

MACHINES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
"""The variable that tells Keras of several machines; two more say how many, and which this is."""


class _SharedBatches(keras.distribution.DataParallel):
    """Each device computes a part of a batch; a machine hands over the rows of its devices."""

    def __init__(self, devices: list[str]) -> None:
        super().__init__(devices=devices, auto_shard_dataset=False)
        self.devices = devices


class _WholeBatches(_SharedBatches):
    """Each device computes the whole batch, whatever its size; each machine hands over all rows."""

    def get_data_layout(self, data_shape: tuple[int, ...]) -> "keras.distribution.TensorLayout":
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)


def use_devices(count: int) -> None:
    """Let ``count`` devices hold all networks that are made from now on.

    With Keras's variables for several machines in the environment, wait until all machines are
    here. Outside of `sharing_batches`, each device computes whole batches.

    Raises:
        UserError: the backend is not JAX, the machines don't meet, or there are fewer devices. Of
            several machines, all devices must be used, and each must have as many.
    """
    several = MACHINES in os.environ
    if count == 1 and not several:
        return
    if keras.backend.backend() != "jax":
        reason = f"{MACHINES} is set" if several else f"devices is {count}"
        raise UserError(f"{reason}, but devices train together with backend: jax only.")
    if several:
        _meet()
    devices = keras.distribution.list_devices()
    if len(devices) < count or (several and len(devices) > count):
        raise UserError(f"devices: {count}, but there are {len(devices)}: {', '.join(devices)}.")
    keras.distribution.set_distribution(_WholeBatches(devices[:count]))


def _meet() -> None:
    import jax  # noqa: PLC0415

    address = os.environ[MACHINES]
    if ":" not in address:
        raise UserError(f"{MACHINES}, {address}, has no port: write {address}:29400, for example.")
    # It would keep `kill` from ending the training.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        keras.distribution.initialize()
    except (RuntimeError, ValueError) as e:
        raise UserError(
            f"the machines of {MACHINES}, {address}, don't meet ({first_line(e)}). "
            "docs/scale.md says which variables each of them needs."
        ) from e
    own, machines, total = jax.local_device_count(), jax.process_count(), jax.device_count()
    if own * machines != total:
        raise UserError(
            f"this machine has {own} devices of {total} on {machines} machines; all must have as "
            "many."
        )


def is_first_machine() -> bool:
    """Return whether this machine is the one that reports the training: the first, or the only."""
    devices = _devices()
    return devices is None or devices.data_shard_id == 0


def require_same_on_all_machines(facts: str) -> None:
    """Raise UserError unless ``facts`` are the same text on all machines."""
    if not _are_several_machines():
        return
    from jax.experimental.multihost_utils import assert_equal  # noqa: PLC0415

    try:
        assert_equal(np.frombuffer(hashlib.sha256(facts.encode()).digest(), np.uint8))
    except AssertionError as e:
        raise UserError(
            f"the machines differ; this one has {facts}. All need the same commit, parameters and "
            "data. If only the finished epochs differ, copy .dvc/tmp/checkpoints of one machine to "
            "the others."
        ) from e


@contextmanager
def explaining_failures() -> Iterator[None]:
    """Turn what goes wrong between machines inside the block into a UserError."""
    try:
        yield
    # AssertionError: a value that all should have differs.
    except (RuntimeError, AssertionError) as e:
        if not _are_several_machines():
            raise
        raise UserError(
            f"the machines can't go on together ({first_line(e)}). If one of them has failed, "
            "start the training on all of them again: it goes on after the last epoch."
        ) from e


def sharing_batches(size: int) -> AbstractContextManager[None]:
    """Let the devices share each batch of ``size`` images inside the block.

    Raises:
        UserError: the batch can't be divided evenly.
    """
    devices = _devices()
    if devices is None:
        return nullcontext()
    if size % len(devices.devices):
        raise UserError(
            f"{len(devices.devices)} devices can't share a batch of {size} images evenly. Change "
            "baseline.batch_size, triplet.people, triplet.images or devices."
        )
    return _SharedBatches(devices.devices).scope()


def whole_batches() -> AbstractContextManager[None]:
    """Let each device compute whole batches inside the block, also within `sharing_batches`."""
    devices = _devices()
    return nullcontext() if devices is None else _WholeBatches(devices.devices).scope()


def rows_of_this_machine(size: int) -> slice:
    """Return which rows of a batch this machine's devices compute; all, if it is the only one."""
    devices = _devices()
    if devices is None:
        return slice(None)
    part = size // devices.num_processes
    return slice(devices.data_shard_id * part, (devices.data_shard_id + 1) * part)


def _devices() -> Any:
    """Return the devices that `use_devices` chose, or None if there is one.

    Keras remembers them for the thread that chose them.
    """
    return keras.distribution.distribution()


def _are_several_machines() -> bool:
    devices = _devices()
    return devices is not None and devices.num_processes > 1
