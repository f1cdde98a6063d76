"""The two protocols, which differ in the gallery photos that the query's own camera took."""

from collections.abc import Mapping
from typing import Literal

Protocol = Literal["cross_camera", "any_camera"]
"""Which gallery photos of the query's person are right answers.

``cross_camera``, the protocol of Market-1501, leaves out those under the query's own camera.
``any_camera`` keeps them. This is easier, but it can be measured with a single camera.
"""
CROSS_CAMERA: Protocol = "cross_camera"
ANY_CAMERA: Protocol = "any_camera"


def words_for(protocol: Protocol) -> str:
    """Return what is added to a title or a sentence about figures; empty for ``cross_camera``."""
    return ", any camera" if protocol == ANY_CAMERA else ""


ANY_CAMERA_FLAG = "any_camera"
"""The key of ``metrics/<name>.json`` that is 1 if the protocol is ``any_camera``, else missing."""


def protocol_of(metrics: Mapping[str, float]) -> Protocol:
    """Return the protocol that the figures of such a file were measured by."""
    return ANY_CAMERA if metrics.get(ANY_CAMERA_FLAG) else CROSS_CAMERA
