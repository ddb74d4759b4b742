"""Explanations of a network as they are kept in a run folder: numbers, and arrays by name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from minicnn.errors import DataError
from minicnn.explain.curves import ScoreCurve
from minicnn.files import atomic_write, read_json, write_json

__all__ = ["RANDOM", "Explanations"]

RANDOM = "Random order"  # of pixels: the yardstick of the methods
CURVE_TEXTS = (  # title and horizontal axis of both kinds of curves
    ("Deletion: lower is better", "Pixels removed, most important first"),
    ("Insertion: higher is better", "Pixels put in, most important first"),
)

NUMBERS = "explanations.json"
ARRAYS = "explanations.safetensors"
IN_CONTENT = (
    *("methods", "faces", "shown", "thorough", "layer", "features", "samples", "steps"),
    *("searched", "first_convolution", "data", "split"),
    *("central_region", "uniform_central_mass", "completeness_error"),
)
IN_ARRAYS = ("faces", "labels", "probabilities", "masked", "mean_face", "map/SmoothGrad")


@dataclass(frozen=True, eq=False)
class Explanations:
    """What was found of a network.

    Attributes
    ----------
    content : dict
        Numbers and texts, as JSON can hold them: what was explained, and by which settings.
    arrays : dict of str to NumPy array
        Pictures in uint8 unless another unit is told. N faces are shown, M are measured:

        - ``faces`` (N, H, W, C), ``labels`` (N,), ``probabilities`` (N, K), ``masked`` as the
          faces;
        - ``map/METHOD`` (N, H, W), importance; ``mean_map/METHOD`` (H, W), the mean over the
          measured faces of each map's absolute values, divided by their sum; ``mean_face`` (H, W);
        - ``curve/fractions`` (S,), ``curve/deletion/METHOD`` and ``curve/insertion/METHOD`` (M, S);
        - ``filters`` (O, KH, KW, C), weights;
        - ``classes/pictures`` (K, seeds, H, W, C) in the network's units, ``classes/values``
          (K, seeds);
        - of each layer: ``layer/LAYER/maps`` (h, w, c) of the first face; ``ascent`` (F, seeds, H,
          W, C), ``values`` (F, seeds); ``top`` (G, k, H, W, C), ``top_values`` and ``top_labels``
          (G, k), ``top_places`` (G, k, 2), row and column in the face.

        Those that a network has nothing for are left out.
    """

    content: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """Return the arrays whose names begin with a prefix and a slash, by the rest of the name.

        In the order of the methods, as the content lists them.
        """
        found = {
            name.removeprefix(f"{prefix}/"): array
            for name, array in self.arrays.items()
            if name.startswith(f"{prefix}/")
        }
        order = list(self.content.get("methods", ()))
        rank = {name: place for place, name in enumerate(order)}
        return dict(sorted(found.items(), key=lambda item: rank.get(item[0], len(rank))))

    def curves(self) -> dict[str, tuple[ScoreCurve, ScoreCurve]]:
        """Return the deletion and the insertion curve of each method that has them."""
        both = [self.under(f"curve/{kind}") for kind in ("deletion", "insertion")]
        fractions = self.arrays.get("curve/fractions")
        if fractions is None:
            return {}
        return {
            name: (ScoreCurve(fractions, both[0][name]), ScoreCurve(fractions, both[1][name]))
            for name in both[0]
        }

    @property
    def complete(self) -> bool:
        """Whether all is there that every explanation has, and a page shows."""
        tops = [f"layer/{layer}/top" for layer in self.content.get("features") or ()]
        return set(IN_CONTENT) <= set(self.content) and {*IN_ARRAYS, *tops} <= set(self.arrays)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write both parts into a folder, which must exist."""
        arrays = {name: np.ascontiguousarray(array) for name, array in self.arrays.items()}
        with atomic_write(Path(folder) / ARRAYS, "wb") as file:
            file.write(safetensors.numpy.save(arrays))
        write_json(Path(folder) / NUMBERS, self.content)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Explanations:
        """Read what :meth:`save` wrote.

        Raises
        ------
        DataError
            A file is missing or damaged.
        """
        remedy = "explain the run anew"
        content = read_json(Path(folder) / NUMBERS, ({"methods": dict}, {}), remedy=remedy)
        try:
            arrays = safetensors.numpy.load((Path(folder) / ARRAYS).read_bytes())
        except OSError as error:
            raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from None
        except (ValueError, TypeError, safetensors.SafetensorError) as error:
            raise DataError(f"{folder}: damaged ({error}); {remedy}") from None
        return cls(content, arrays)
