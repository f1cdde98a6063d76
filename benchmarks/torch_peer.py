"""The peer of training and extraction: the same network and step in PyTorch.

MobileNetV2 after Sandler et al., 2018, table 2, with the stride of the last stage as in this
project, a batch-norm neck, softmax and triplet loss. Weights are random: only the time counts.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
"""Expansion, channels, blocks and stride of the stages before the last two."""
FEATURES, KERNEL_RANK = 1280, 4
SMALLEST = 1e-6


def convolution(inputs: int, outputs: int, size: int, stride: int, groups: int) -> nn.Sequential:
    """Make a convolution with batch norm."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.1),
    )


class Block(nn.Module):
    """An inverted residual."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        """Make the block."""
        super().__init__()
        wide = expansion * inputs
        expand = [convolution(inputs, wide, 1, 1, 1), nn.ReLU6()] if expansion > 1 else []
        self.body = nn.Sequential(
            *expand,
            convolution(wide, wide, 3, stride, wide),
            nn.ReLU6(),
            convolution(wide, outputs, 1, 1, 1),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the maps after the block."""
        return maps + self.body(maps) if self.adds else self.body(maps)


class Network(nn.Module):
    """The network of this project, with random weights."""

    def __init__(self, classes: int, last_stride: int) -> None:
        """Make the network."""
        super().__init__()
        layers: list[nn.Module] = [convolution(3, 32, 3, 2, 1), nn.ReLU6()]
        channels = 32
        for expansion, outputs, blocks, stride in (
            *STAGES,
            (6, 160, 3, last_stride),
            (6, 320, 1, 1),
        ):
            for number in range(blocks):
                layers.append(Block(channels, outputs, expansion, stride if number == 0 else 1))
                channels = outputs
        layers += [convolution(channels, FEATURES, 1, 1, 1), nn.ReLU6()]
        self.backbone = nn.Sequential(*layers)
        self.neck = nn.BatchNorm1d(FEATURES)
        self.logits = nn.Linear(FEATURES, classes, bias=False)

    def features(self, photos: torch.Tensor) -> torch.Tensor:
        """Return features (n, d) of photos, uint8 (n, height, width, 3)."""
        images = photos.permute(0, 3, 1, 2).float().div(127.5).sub(1)
        maps = self.backbone(images.contiguous(memory_format=torch.channels_last))
        return maps.mean((2, 3))


def _network(classes: int, last_stride: int) -> Network:
    torch.manual_seed(0)
    network = Network(classes, last_stride)
    for weights in network.parameters():
        if weights.dim() == KERNEL_RANK:
            weights.data = weights.data.contiguous(memory_format=torch.channels_last)
    return network


def training_step(
    images: np.ndarray,
    labels: np.ndarray,
    classes: int,
    last_stride: int,
    margin: float,
    weight: float,
    smoothing: float,
    threads: int,
) -> Callable[[], object]:
    """Return a function that makes a step of SGD with both losses on the same images."""
    torch.set_num_threads(threads)
    network = _network(classes, last_stride).train()
    sgd = torch.optim.SGD(
        network.parameters(), 0.01, momentum=0.9, weight_decay=0.0005, nesterov=True
    )
    photos, people = torch.from_numpy(images), torch.from_numpy(labels).long()
    same = people[:, None] == people
    positive = same & ~torch.eye(len(people), dtype=torch.bool)

    def step() -> float:
        features = network.features(photos)
        logits = network.logits(network.neck(features))
        unit = functional.normalize(features)
        distances = (2 - 2 * unit @ unit.T).clamp(min=SMALLEST).sqrt()
        hardest = distances.where(positive, -3.0).amax(1) - distances.where(~same, 3.0).amin(1)
        triplet = functional.relu(hardest + margin).mean()
        softmax = functional.cross_entropy(logits, people, label_smoothing=smoothing)
        loss = softmax + weight * triplet
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        return float(loss.detach())

    return step


def embedder(last_stride: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from photos, uint8 (n, height, width, 3), to embeddings (n, d)."""
    network = _network(1, last_stride).eval()

    @torch.inference_mode()
    def embed(photos: np.ndarray) -> np.ndarray:
        features = network.neck(network.features(torch.from_numpy(photos)))
        return functional.normalize(features).numpy()

    return embed
