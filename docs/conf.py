"""How Sphinx builds these pages: make docs."""
from cbsa_mm import __version__

project = 'cbsa_mm'
version = release = __version__
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.mathjax']
exclude_patterns = ['_build']
html_theme = 'furo'
html_title = f'cbsa_mm {version}'
myst_heading_anchors = 3
# Types stand in the signatures; what modules re-export is documented under the short name.
autodoc_typehints = 'description'
autodoc_member_order = 'bysource'
autodoc_default_options = {'imported-members': True, 'ignore-module-all': False}
