"""AugmentationSchedule: one recipe in the first epochs of a training, another one in the last."""

from __future__ import annotations

from dataclasses import dataclass

from minicnn.data.augment import Augmentation
from minicnn.errors import OptionError

__all__ = ["AugmentationSchedule"]


@dataclass(frozen=True, kw_only=True)
class AugmentationSchedule:
    """Two recipes of augmentation and the epoch in which the second takes the first one's place.

    Ge et al., "YOLOX: Exceeding YOLO Series in 2021" (2021), train the last epochs without mixed
    images, so that the network ends on pictures such as those that it is for.

    Parameters
    ----------
    first, last : Augmentation or None
        None leaves the images as they are.
    change : int
        How many epochs have `first`; 0 or more.

    Raises
    ------
    OptionError
        The epoch is no number of 0 or more.
    """

    first: Augmentation | None
    last: Augmentation | None
    change: int

    def __post_init__(self) -> None:
        if isinstance(self.change, bool) or not isinstance(self.change, int) or self.change < 0:
            raise OptionError(
                "augmentation schedule: change: expected a whole number of epochs, 0 or more, got "
                f"{self.change!r}"
            )

    @property
    def mixes(self) -> bool:
        """Whether images are mixed in any epoch, and so labels become probabilities."""
        return any(each is not None and each.mixes for each in (self.first, self.last))

    def at(self, epoch: int) -> Augmentation | None:
        """Return the recipe of an epoch; the first epoch is 0."""
        return self.first if epoch < self.change else self.last
