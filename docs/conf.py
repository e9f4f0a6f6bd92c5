"""Settings of Sphinx: `uv run --group docs sphinx-build -W docs build/docs`."""

import re
import sys
from pathlib import Path

from pumice import __version__

sys.path.insert(0, str(Path(__file__).parent))  # mathml.py
MARKS = re.compile(r":\w+:`[^`]*`|``[^`]*``|`(?P<code>[^`]+)`|(?<!\\)(?P<sign>[*|])")

project = "pumice"
author = copyright = "the pumice authors"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "sphinx_copybutton"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["results/**"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
html_theme = "furo"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_title = f"pumice {__version__}"
templates_path: list[str] = []

autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 88


def as_restructured_text(app, what, name, obj, options, lines) -> None:  # noqa: PLR0917
    """Docstrings are written as they are read in a terminal: `name` is code there, and * and | are signs."""

    def marked(found: re.Match) -> str:
        if found["code"]:
            return f"``{found['code']}``"
        return f"\\{found['sign']}" if found["sign"] else found[0]

    is_verbatim = False
    for index, line in enumerate(lines):
        if is_verbatim and line.strip() and not line.startswith(" "):
            is_verbatim = False
        is_verbatim = is_verbatim or line.lstrip().startswith((">>>", ".. math::"))
        if not is_verbatim:
            lines[index] = MARKS.sub(marked, line)


def write_tutorials(app, config) -> None:
    """Pages and notebooks of `tutorials/*.py`, before Sphinx looks for pages."""
    sys.path.insert(0, str(Path(app.srcdir).parent / "scripts"))
    import tutorial_pages

    tutorial_pages.write(Path(app.srcdir) / "tutorials")


def setup(app) -> None:
    """Behind napoleon, which reads Args, Returns and Raises."""
    app.connect("config-inited", write_tutorials)
    app.connect("autodoc-process-docstring", as_restructured_text, priority=900)
