"""Explanations as a page shows them: maps beside faces, curves, and what layers answer to."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.report.explained import CURVE_TEXTS, RANDOM, Explanations
from minicnn.report.page.charts import Chart, Series, line_chart
from minicnn.report.page.pictures import face_uri, map_uri
from minicnn.report.page.results import scores_of_face
from minicnn.report.page.texts import size, words
from minicnn.report.panels import LEVELS, MOST, contrasted

__all__ = ["explained_faces", "explained_layers"]

RAMP = np.linspace(0, 1, 64)[None]  # all colours of a map, side by side


def explained_faces(found: Explanations, names: tuple[str, ...]) -> dict[str, Any]:
    """Return faces with their maps, the mean maps, and the numbers of the methods."""
    arrays, content = found.arrays, found.content
    maps = found.under("map")
    signed = {name: bool(values.min() < 0) for name, values in maps.items()}
    faces = []
    for row, face in enumerate(arrays["faces"]):
        true = int(arrays["labels"][row])
        scores = scores_of_face(arrays["probabilities"][row], names, true)
        faces.append(
            {
                "uri": face_uri(face),
                "masked": face_uri(arrays["masked"][row]),
                "id": content["shown"][row],
                "true": names[true],
                "predicted": next(score.name for score in scores if score.predicted),
                "scores": scores,
                "maps": [
                    {"method": name, "uri": map_uri(values[row], signed=signed[name])}
                    for name, values in maps.items()
                ],
            }
        )
    height, width = arrays["faces"].shape[1:3]
    region = content["central_region"]
    methods = content["methods"]
    return {
        "faces": faces,
        "methods": methods,
        "uniform": content["uniform_central_mass"],
        "completeness_error": content["completeness_error"],
        "count": content["faces"],
        "faces_of": f"{content['faces']} faces of {words(content['split'])}, {content['data']}",
        "samples": content["samples"],
        "keys": {"unsigned": map_uri(RAMP), "signed": map_uri(RAMP, signed=True, ends=(0, 1))},
        "mean_face": face_uri(arrays["mean_face"][..., None]),
        "mean_maps": [
            {
                "method": name,
                "uri": map_uri(values),
                "share": methods[name]["central_mass"],
            }
            for name, values in found.under("mean_map").items()
        ],
        "region": {  # in percent of the picture
            "top": 100 * region["top"] / height,
            "left": 100 * region["left"] / width,
            "height": 100 * (region["bottom"] - region["top"]) / height,
            "width": 100 * (region["right"] - region["left"]) / width,
        },
        "curves": _curves(found),
    }


def _curves(found: Explanations) -> list[Chart]:
    curves = found.curves()
    charts = []
    for which, (title, below) in enumerate(CURVE_TEXTS):
        series = [
            Series(
                name,
                both[which].fractions.tolist(),
                both[which].scores.mean(axis=0).tolist(),
                look=number,
                dashed=name == RANDOM,
                yardstick=name == RANDOM,
            )
            for number, (name, both) in enumerate(curves.items())
        ]
        if series:
            charts.append(
                line_chart(
                    series,
                    title=title,
                    x_label=below,
                    y_label="Probability of the class",
                    x_percent=True,
                    y_percent=True,
                    x_range=(0, 1),
                    y_range=(0, 1),
                )
            )
    return charts


def explained_layers(found: Explanations, names: tuple[str, ...]) -> dict[str, Any]:
    """Return filters, pictures by gradient ascent, feature maps and the strongest faces."""
    arrays, content = found.arrays, found.content
    filters = []
    if "filters" in arrays:
        shown = arrays["filters"][:MOST].mean(axis=3)
        highest = float(np.abs(shown).max()) or 1.0
        filters = [map_uri(each, signed=True, ends=(-highest, highest)) for each in shown]
    classes = []
    if "classes/pictures" in arrays:
        classes = [
            {"name": name, "pictures": _pictures(pictures, values)}
            for name, pictures, values in zip(
                names, arrays["classes/pictures"], arrays["classes/values"], strict=True
            )
        ]
    return {
        "filters": filters,
        "filter_count": len(arrays["filters"]) if "filters" in arrays else 0,
        "convolution": content["first_convolution"],
        "classes": classes,
        "steps": content["steps"],
        "searched": content["searched"],
        "layers": [_layer(found, layer, names) for layer in content["features"]],
    }


def _pictures(pictures: np.ndarray, values: np.ndarray) -> list[dict[str, Any]]:
    return [
        {"uri": face_uri(contrasted(picture)), "value": float(value)}
        for picture, value in zip(pictures, values, strict=True)
    ]


def _layer(found: Explanations, layer: str, names: tuple[str, ...]) -> dict[str, Any]:
    arrays = found.under(f"layer/{layer}")
    maps = np.moveaxis(arrays["maps"], 2, 0) if "maps" in arrays else np.empty((0, 1, 1))
    uris = [map_uri(values, cmap=LEVELS) for values in maps[:MOST]]
    ascent = []
    if "ascent" in arrays:
        for number, (pictures, values) in enumerate(
            zip(arrays["ascent"], arrays["values"], strict=True)
        ):
            in_face = uris[number] if number < len(uris) else None
            ascent.append(
                {"filter": number, "pictures": _pictures(pictures, values), "in_face": in_face}
            )
    return {
        "name": layer,
        "face": face_uri(found.arrays["faces"][0]),
        "face_label": names[int(found.arrays["labels"][0])],
        "maps": uris,
        "map_count": len(maps),
        "size": size(maps.shape[1:]),
        "ascent": ascent,
        "top": _top(arrays, names),
    }


def _top(arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> list[dict[str, Any]]:
    height, width = arrays["top"].shape[2:4]
    places = arrays.get("top_places")
    rows = []
    for number, faces in enumerate(arrays["top"]):
        row = []
        for rank, face in enumerate(faces):
            place = None
            if places is not None:
                y, x = places[number, rank]
                place = {"top": 100 * (y + 0.5) / height, "left": 100 * (x + 0.5) / width}
            row.append(
                {
                    "uri": face_uri(face),
                    "label": names[int(arrays["top_labels"][number, rank])],
                    "value": float(arrays["top_values"][number, rank]),
                    "place": place,
                }
            )
        rows.append({"filter": number, "faces": row})
    return rows
