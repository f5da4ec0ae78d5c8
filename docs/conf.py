"""How Sphinx builds these pages: make docs."""
import sys
from pathlib import Path

from cbsa_mm import __version__

sys.path.append(str(Path(__file__).parent))
from pictures import make_pictures

project = 'cbsa_mm'
version = release = __version__
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.mathjax']
exclude_patterns = ['_build']
html_extra_path = ['_build/extra']  # what pictures.py makes
html_theme = 'furo'
html_title = f'cbsa_mm {version}'
myst_heading_anchors = 3
# Types stand in the signatures; what modules re-export is documented under the short name.
autodoc_typehints = 'description'
autodoc_member_order = 'bysource'
autodoc_default_options = {'imported-members': True, 'ignore-module-all': False}


def setup(app) -> None:
    """Makes the pictures before the pages are read."""
    make_pictures(Path(__file__).parent / '_build/extra')
