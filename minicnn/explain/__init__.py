"""Explanations: what in a picture speaks for a class, and what layers and filters answer to.

Pictures and maps come on the backend of what was given; numbers to be read come as NumPy arrays.

Examples
--------
>>> model = zoo.load("runs/b/weights.safetensors")
>>> images = model.normalization(faces)  # (N, H, W, C), uint8
>>> maps = explain.smooth_grad(model, images, rng=0)
>>> explain.mass_share(maps).share.mean(), explain.deletion(model, images, maps).areas.mean()
"""

from minicnn.explain.ascent import Ascent, gradient_ascent, total_variation
from minicnn.explain.cam import grad_cam
from minicnn.explain.curves import ScoreCurve, deletion, insertion
from minicnn.explain.gradients import (
    IntegratedGradients,
    guided_backprop,
    input_x_gradient,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from minicnn.explain.layers import (
    TopActivations,
    convolution_filters,
    feature_maps,
    top_activations,
)
from minicnn.explain.masking import MassShare, central_region, masked_picture, mass_share, scaled
from minicnn.explain.observation import find_layer, last_convolution
from minicnn.explain.occlusion import occlusion

__all__ = [
    "Ascent",
    "IntegratedGradients",
    "MassShare",
    "ScoreCurve",
    "TopActivations",
    "central_region",
    "convolution_filters",
    "deletion",
    "feature_maps",
    "find_layer",
    "grad_cam",
    "gradient_ascent",
    "guided_backprop",
    "input_x_gradient",
    "insertion",
    "integrated_gradients",
    "last_convolution",
    "masked_picture",
    "mass_share",
    "occlusion",
    "saliency",
    "scaled",
    "smooth_grad",
    "top_activations",
    "total_variation",
]
