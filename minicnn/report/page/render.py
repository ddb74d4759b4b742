"""Fill a page's template, with all that it needs inside: one file that asks no network."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

from minicnn.errors import OptionError
from minicnn.report.page.texts import FILTERS

__all__ = ["rendered", "require_jinja"]


def require_jinja() -> None:
    """Raise OptionError where jinja2 is not installed: better before a long run than after."""
    if find_spec("jinja2") is None:
        raise OptionError(
            'a report needs jinja2, which is not installed; run: pip install "minicnn[fer]"'
        )


def rendered(template: str, content: Mapping[str, Any]) -> str:
    """Return a page as HTML.

    Parameters
    ----------
    template : str
        The name of a file in the folder of templates.
    content : mapping
        What the template speaks of; anything that it lacks is an error.
    """
    require_jinja()
    return _environment().get_template(template).render(content)


@functools.cache
def _environment() -> Any:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("minicnn.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    folder = files("minicnn.report") / "templates"
    for name, file in (("style", "page.css"), ("script", "page.js")):
        environment.globals[name] = Markup((folder / file).read_text(encoding="utf-8"))
    return environment
