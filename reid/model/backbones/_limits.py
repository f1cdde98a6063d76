"""The parameters that a backbone can be built with, checked before Keras is asked."""

from dataclasses import dataclass

from reid.common.errors import UserError


@dataclass(frozen=True)
class Limits:
    """The parameters that one backbone can be built with.

    Args:
        smallest: the smallest height and width of the input, pixels.
        alphas: the possible factors of the numbers of channels; None if all are possible.
        last_strides: the possible strides of the last stage that reduces the map.
        imagenet_alphas: the factors for which Keras has ImageNet weights.
    """

    smallest: int = 32
    alphas: tuple[float, ...] | None = None
    last_strides: tuple[int, ...] = (1, 2)
    imagenet_alphas: tuple[float, ...] = ()

    def check(
        self, name: str, height: int, width: int, alpha: float, last_stride: int, weights: str
    ) -> None:
        """Raise UserError if ``backbones.build`` can't build ``name`` with these parameters."""
        if min(height, width) < self.smallest:
            raise UserError(
                f"model.height, model.width: {name} needs at least "
                f"{self.smallest}x{self.smallest} pixels (got {height}x{width})."
            )
        if self.alphas is not None and alpha not in self.alphas:
            raise UserError(f"model.alpha: {name} takes only {_listed(self.alphas)} (got {alpha}).")
        if last_stride not in self.last_strides:
            raise UserError(
                f"model.last_stride: {name} takes only {_listed(self.last_strides)} "
                f"(got {last_stride})."
            )
        if weights == "imagenet" and alpha not in self.imagenet_alphas:
            have = f"alpha {_listed(self.imagenet_alphas)}" if self.imagenet_alphas else "no alpha"
            raise UserError(
                f"model.weights: imagenet: Keras has weights of {name} for {have} "
                f"(got {alpha}). Name a .weights.h5 file in pretrained/, or choose none."
            )


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(map(str, values))
