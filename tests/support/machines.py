"""Devices under JAX, and machines that train together: processes of this machine."""

from tests.support.absent import without
from tests.support.mlflow_server import free_port


def jax_devices(count: int = 1) -> dict[str, str]:
    """Return the environment variables with which a process computes with so many devices.

    JAX compiles their steps without optimising them: otherwise that takes longer than the steps.
    They do without TensorFlow, which Keras would import to set its seed.
    """
    flags = (
        f"--xla_force_host_platform_device_count={count}",
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_use_fusion_emitters=false",
    )
    return {"KERAS_BACKEND": "jax", "XLA_FLAGS": " ".join(flags), **without("tensorflow")}


def machines(count: int) -> list[dict[str, str]]:
    """Return the environment variables of each machine with one device, the first one's first."""
    first = f"127.0.0.1:{free_port()}"
    return [
        {
            **jax_devices(),
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": first,
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count),
            "KERAS_DISTRIBUTION_PROCESS_ID": str(number),
        }
        for number in range(count)
    ]
