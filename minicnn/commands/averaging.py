"""What commands average a prediction over, and how they say so."""

from __future__ import annotations

from typing import Any

from minicnn.commands.arguments import Parser
from minicnn.training.ensemble import Views

__all__ = ["add_tta_option", "averaged", "averaged_text"]


def add_tta_option(parser: Parser) -> None:
    """Add the option that switches test-time augmentation on."""
    views = Views()
    parser.add_argument(
        "--tta",
        action="store_true",
        help=f"average over {len(views)} views of each image: in place and moved by two pixels, as "
        "it is and mirrored (test-time augmentation)",
    )


def averaged(networks: int, views: Views | None) -> dict[str, Any]:
    """Return what is averaged, for JSON: the entry ``averaged``, or nothing where nothing is."""
    if networks == 1 and views is None:
        return {}
    what = None if views is None else {"count": len(views), **views.to_dict()}
    return {"averaged": {"networks": networks, "views": what}}


def averaged_text(networks: int, views: Views | None) -> str:
    """Return the same in words; an empty text where nothing is averaged."""
    of_networks = [f"{networks} networks"] * (networks > 1)
    of_views = [] if views is None else [f"{len(views)} views of each image"]
    parts = " and ".join(of_networks + of_views)
    return f"mean over {parts}" if parts else ""
