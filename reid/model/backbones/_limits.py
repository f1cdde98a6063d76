"""What a backbone can be built with, said before Keras fails for another reason."""

from dataclasses import dataclass

from reid.common.errors import UserError


@dataclass(frozen=True)
class Limits:
    """What the parameters of one backbone may be.

    Args:
        smallest: height and width of the input, pixels.
        alphas: width multipliers; None for any.
        last_strides: of the last stage that reduces.
        imagenet_alphas: those that Keras has weights for.
    """

    smallest: int = 32
    alphas: tuple[float, ...] | None = None
    last_strides: tuple[int, ...] = (1, 2)
    imagenet_alphas: tuple[float, ...] = ()

    def check(
        self, name: str, height: int, width: int, alpha: float, last_stride: int, weights: str
    ) -> None:
        """Refuse, with a UserError, what ``backbones.build`` can't build ``name`` with."""
        if min(height, width) < self.smallest:
            raise UserError(
                f"model.height, model.width: {name} needs at least "
                f"{self.smallest}x{self.smallest} pixels (got {height}x{width})."
            )
        if self.alphas is not None and alpha not in self.alphas:
            raise UserError(f"model.alpha: {name} has {_listed(self.alphas)} only (got {alpha}).")
        if last_stride not in self.last_strides:
            raise UserError(
                f"model.last_stride: {name} has {_listed(self.last_strides)} only "
                f"(got {last_stride})."
            )
        if weights == "imagenet" and alpha not in self.imagenet_alphas:
            have = f"alpha {_listed(self.imagenet_alphas)}" if self.imagenet_alphas else "no alpha"
            raise UserError(
                f"model.weights: imagenet: of {name} Keras has weights for {have} "
                f"(got {alpha}). Give a .weights.h5 file in pretrained/, or none."
            )


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(map(str, values))
