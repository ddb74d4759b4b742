"""AugmentationSchedule: recipes of augmentation that follow each other during a training."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from minicnn.data.augment import Augmentation
from minicnn.errors import OptionError

__all__ = ["AugmentationSchedule"]


@dataclass(frozen=True, kw_only=True)
class AugmentationSchedule:
    """Recipes of augmentation, and the epochs in which each takes the place of the one before.

    Tan and Le, "EfficientNetV2" (2021), begin with small images and let them grow, so that the
    first epochs take less time; the network must take images of any size. Ge et al., "YOLOX:
    Exceeding YOLO Series in 2021" (2021), train the last epochs without mixed images, so that the
    network ends on pictures such as those that it is for.

    Parameters
    ----------
    recipes : sequence of Augmentation or None
        None leaves the images as they are.
    changes : sequence of int
        The first epoch of each recipe but the first, in ascending order; epochs begin at 0. Of
        recipes with the same one, the last is taken.

    Raises
    ------
    OptionError
        The epochs are no numbers of 0 or more in ascending order, or not one for each change.
    """

    recipes: Sequence[Augmentation | None]
    changes: Sequence[int]

    def __post_init__(self) -> None:
        changes = list(self.changes)
        if any(type(epoch) is not int or epoch < 0 for epoch in changes) or (
            changes != sorted(changes)
        ):
            raise OptionError(
                "augmentation schedule: changes: expected epochs of 0 or more, in ascending order, "
                f"got {self.changes!r}"
            )
        if len(self.recipes) != len(changes) + 1:
            raise OptionError(
                f"augmentation schedule: {len(self.recipes)} recipes change "
                f"{len(self.recipes) - 1} times, got {len(changes)} changes"
            )

    @property
    def mixes(self) -> bool:
        """Whether images are mixed in any epoch, and so labels become probabilities."""
        return any(each is not None and each.mixes for each in self.recipes)

    def at(self, epoch: int) -> Augmentation | None:
        """Return the recipe of an epoch; the first epoch is 0."""
        return self.recipes[bisect_right(self.changes, epoch)]
