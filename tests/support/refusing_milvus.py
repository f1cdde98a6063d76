"""A server that speaks Milvus's protocol and knows one user."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc


class OneUser(milvus_pb2_grpc.MilvusServiceServicer):
    """Lets one user connect. Everything else is refused."""

    def __init__(self, token: str) -> None:
        """Know the user."""
        self._token = base64.b64encode(token.encode()).decode()

    def Connect(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Answer, or refuse as Milvus does."""
        if dict(context.invocation_metadata()).get("authorization") != self._token:
            context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                "auth check failure, please check username and password are correct",
            )
        return milvus_pb2.ConnectResponse(status=common_pb2.Status(), identifier=1)


@contextmanager
def refusing_milvus(token: str) -> Iterator[str]:
    """Give the place, ``127.0.0.1:PORT``, of a server that knows one ``user:password``."""
    server = grpc.server(ThreadPoolExecutor(2))
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(OneUser(token), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)
