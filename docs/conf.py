"""How Sphinx shows the pages that build.py hands it: stored outputs, no execution, nothing from outside."""
from latex2mathml.converter import convert

project = html_title = "protrek_nb"
author = "the protrek_nb authors"
extensions = ["myst_nb"]
nb_execution_mode = "off"
nb_ipywidgets_js = {}
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a page may go from its title to the heading of a function
exclude_patterns = []
html_theme = "sphinx_book_theme"
html_theme_options = dict(show_navbar_depth=1, use_download_button=False, use_fullscreen_button=False, repository_url="https://github.com/protrek-nb/protrek_nb",
                          use_repository_button=True, show_toc_level=2)
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_math_renderer = "mathml"


def formula(node, display):
    "Write a formula as MathML, which browsers show without scripts or fonts from elsewhere."
    return convert(node.astext(), display=display)


def inline_formula(translator, node):
    from docutils import nodes
    translator.body.append(formula(node, "inline"))
    raise nodes.SkipNode


def block_formula(translator, node):
    from docutils import nodes
    translator.body.append(f'<div class="math">{formula(node, "block")}</div>')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=(inline_formula, None), block_renderers=(block_formula, None))
