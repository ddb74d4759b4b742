"""Explain the network of a run, and keep what is found in the run's folder, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from minicnn import backend
from minicnn.commands.explain_figures import draw_explanations
from minicnn.commands.explain_layers import explain_network
from minicnn.commands.explain_maps import explain_faces
from minicnn.commands.explaining import Chosen, Settings
from minicnn.commands.run_folder import EXPLANATION_FILES, RunFolder, versions
from minicnn.commands.trained_run import Part
from minicnn.errors import DataError, OptionError
from minicnn.files import hash_of
from minicnn.nn.conv import Conv2d
from minicnn.report.explained import Explanations
from minicnn.zoo.network import Network

__all__ = ["explain_run", "explanations_of", "refuse_to_replace"]


def explanations_of(
    network: Network, part: Part, settings: Settings, say: Callable[[str], None], *, weights: Path
) -> Explanations:
    """Explain a network by faces of a part of the data.

    Parameters
    ----------
    network : Network
    part : Part
    settings : Settings
    say : callable
        Is told how far it is.
    weights : Path
        The file that the network was read from.

    Returns
    -------
    Explanations
    """
    chosen = Chosen.of(network, part.images, settings)
    say(f"faces: {part.split} of {part.source}, {len(chosen.all):,} that show something")
    layers = ", ".join(settings.features) or "none"
    say(f"layers: {settings.layer or 'none'} for Grad-CAM, {layers} for filters")
    numbers, arrays = explain_faces(network, chosen, settings, say)
    arrays |= explain_network(network, chosen, settings, say)
    convolutions = [name for name, module in network.named_modules() if isinstance(module, Conv2d)]
    content = {
        "model": network.name,
        "weights_sha256": hash_of(weights),
        "data": part.source,
        "split": part.split,
        "faces": len(chosen.part),
        "shown": chosen.part.ids[: settings.faces].tolist(),
        "left_out_as_blank": chosen.left_out,
        "thorough": settings.thorough,
        "layer": settings.layer,
        "first_convolution": convolutions[0] if convolutions else None,
        "features": list(settings.features),
        "samples": settings.samples,
        "steps": settings.steps,
        "searched": len(chosen.searched),
        "seed": settings.seed,
        **numbers,
        "versions": versions(),
    }
    return Explanations(content, {name: backend.to_numpy(each) for name, each in arrays.items()})


def explain_run(
    run: RunFolder,
    network: Network,
    part: Part,
    settings: Settings,
    say: Callable[[str], None],
    *,
    weights: Path,
) -> Explanations:
    """Explain a network, and write figures, numbers and arrays in place of those there.

    Parameters
    ----------
    run : RunFolder
        Gets the folder of the explanations.
    network : Network
    part : Part
    settings : Settings
    say : callable
        Is told how far it is.
    weights : Path
        The file that the network was read from.

    Returns
    -------
    Explanations
    """
    with run.hold(figures=False), run.new_explanations() as folder:
        found = explanations_of(network, part, settings, say, weights=weights)
        count = draw_explanations(found, part.images.class_names, folder)
        found.save(folder)
    say(f"{count} figures and the numbers are in {run.explanations}")
    return found


def refuse_to_replace(target: Path, *, overwrite: bool) -> None:
    """Refuse to replace explanations unasked, or ever to remove what was not written here.

    Raises
    ------
    DataError, OptionError
    """
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_dir():
        raise DataError(f"{target}: is no folder; move it away")
    others = sorted(
        file.name for file in target.iterdir() if not EXPLANATION_FILES.fullmatch(file.name)
    )
    if others:
        raise OptionError(f"{target}: holds other files ({', '.join(others)}); move them away")
    if not overwrite:
        raise OptionError(f"{target}: is there already; add --overwrite to replace it")
