"""A photo through ``/invocations`` of ``mlflow models serve``, and without the server."""

import base64
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import httpx2
import mlflow
import numpy as np
import pandas as pd

from benchmarks.figures import TURNS, Figure
from reid.data import paths
from reid.data.dataset import read_columns
from search.networks import CHAMPION

COUNT = 100
START_SECONDS = 120


def milliseconds(ask: Callable[[str], object], photos: Sequence[str]) -> float:
    """Return the time within which 95 of 100 photos are answered, one after the other."""
    times = []
    for photo in photos:
        began = time.perf_counter()
        ask(photo)
        times.append(1000 * (time.perf_counter() - began))
    return float(np.percentile(times, 95))


@contextmanager
def served() -> Iterator[httpx2.Client]:
    """Serve the champion to a client."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port = asked.getsockname()[1]
    command = ("models", "serve", "-m", CHAMPION, "--env-manager", "local", "--port", str(port))
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            deadline = time.monotonic() + START_SECONDS
            while not _is_up(client):
                if time.monotonic() > deadline or process.poll() is not None:
                    sys.exit(f"error: {' '.join(command)} does not answer")
                time.sleep(0.2)
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _is_up(client: httpx2.Client) -> bool:
    try:
        return client.get("/ping").is_success
    except httpx2.TransportError:
        return False


def figures() -> Iterator[Figure]:
    """Time single photos of the gallery, by the server and in this process, in turns."""
    images = read_columns(paths.DATASET, "gallery", ("image",))["image"][:COUNT]
    photos = [base64.b64encode(image).decode() for image in images]
    model = mlflow.pyfunc.load_model(CHAMPION)
    with served() as client:

        def by_server(photo: str) -> None:
            client.post("/invocations", json={"inputs": {"image": [photo]}}).raise_for_status()

        def here(photo: str) -> None:
            model.predict(pd.DataFrame({"image": [photo]}))

        for ask in (by_server, here):
            milliseconds(ask, photos[:5])
        times = [[milliseconds(ask, photos) for ask in (by_server, here)] for _ in range(TURNS)]
    served_times, own_times = zip(*times, strict=True)
    yield Figure(
        f"a photo through /invocations: 95 of {COUNT} within",
        "ms",
        served_times,
        {},
        {"the model's predict, without a server": own_times},
    )
