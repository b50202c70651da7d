"""What every plot is drawn on: matplotlib figures as inline SVG whose colours follow the page's light or dark theme.

The figures are as wide as a phone (about 360 units), so their text stays readable where the page shows one a line.
Text stays text: the browser sets it in the page's own font, it can be searched, and writing that matplotlib's font
lacks (an offer named in Chinese) still appears.
"""

from __future__ import annotations

import html
import io
import re
import warnings

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH_IN = 5.0  # 360 SVG units at 72 an inch
_UNIT_IN = 1 / 72

# matplotlib knows no CSS variables: it draws in these stand-ins, which are exchanged in the SVG.
_THEME = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--line)",
    "#040404": "var(--accent)",
    "#050505": "var(--second)",
    "#060606": "var(--quiet)",
    "#070707": "var(--good)",
    "#080808": "var(--bad)",
}
INK, MUTED, LINE, ACCENT, SECOND, QUIET, GOOD, BAD = _THEME


def canvas(height: float, *, left: float, right: float, bottom: float = 26) -> tuple[Figure, Axes]:
    """A figure of ``height`` SVG units with one frameless axes; margins left and right as shares of the width."""
    figure = Figure(figsize=(WIDTH_IN, (height + bottom) * _UNIT_IN))
    foot = bottom / (height + bottom)
    axes = figure.add_axes((left, foot, 1 - left - right, 0.99 - foot))
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(colors=MUTED, labelsize=11, length=0)
    axes.xaxis.label.set(color=MUTED, size=11)
    axes.yaxis.label.set(color=MUTED, size=11)
    return figure, axes


def row_label(axes: Axes, x: float, row: float, words: str, align: str, *, colour: str) -> None:
    """Text at a row, x being a share of the axes' width."""
    axes.text(
        x,
        row,
        words,
        ha=align,
        va="center",
        color=colour,
        size=11.5,
        parse_math=False,
        transform=axes.get_yaxis_transform(),
    )


def draw_legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=11, labelcolor=INK, loc="best")


def as_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an inline ``<svg>``: same figure, same text; nothing in it points outside the page."""
    buffer = io.StringIO()
    with warnings.catch_warnings(), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": f"{name} {description}"}):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the browser has its own fonts
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    drawn = buffer.getvalue()
    body = drawn[drawn.index(">", drawn.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"/>|font-family: [^;"]*; | transform="rotate\(-0 [^"]*"', "", body)
    body = re.sub(r'<g id="[^"]*">', "<g>", body)  # the same ids come again in the next figure
    body = re.sub("(?<=: )(" + "|".join(_THEME) + ")", lambda found: _THEME[found[0]], body)
    body = re.sub(r"\s+", " ", body)
    width, height = (side / _UNIT_IN for side in figure.get_size_inches())
    return (
        f'<svg class="plot" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{html.escape(description)}">'
        f"{body}"
    )
