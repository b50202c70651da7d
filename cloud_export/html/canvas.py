"""Draws matplotlib figures as inline SVG whose colours follow the page's light or dark theme.

The figures are as wide as a phone (about 360 units), so their text stays readable where the page shows one a line.
Text stays text: the browser sets it in the page's own font, readers can search it, and characters that matplotlib's
font lacks (an offer named in Chinese) still appear.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from contextlib import suppress
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cloud_export.atomic_write import write_whole
from cloud_export.html.page import LIGHT, THEME_RULES

WIDTH_IN = 5.0  # 360 SVG units at 72 an inch
_UNIT_IN = 1 / 72

# matplotlib knows no CSS variables: it draws in these placeholder colours, which are replaced in the SVG.
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


def canvas(height: float, *, left: float, right: float, bottom: float = 26, top: float = 0) -> tuple[Figure, Axes]:
    """Returns a figure with one frameless axes ``height`` SVG units high.

    Args:
        height: of the axes.
        left: margin, as a share of the width.
        right: margin, as a share of the width.
        bottom: units below, for the axis and its label.
        top: units above, for a legend.
    """
    whole = height + bottom + top
    figure = Figure(figsize=(WIDTH_IN, whole * _UNIT_IN))
    foot = bottom / whole
    axes = figure.add_axes((left, foot, 1 - left - right, 0.99 - foot - top / whole))
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(colors=MUTED, labelsize=11, length=0)
    axes.xaxis.label.set(color=MUTED, size=11)
    axes.yaxis.label.set(color=MUTED, size=11)
    return figure, axes


def row_label(axes: Axes, x: float, row: float, text: str, align: str, *, colour: str) -> None:
    """Draws text at a row; x is a share of the axes' width."""
    axes.text(
        x,
        row,
        text,
        ha=align,
        va="center",
        color=colour,
        size=11.5,
        parse_math=False,
        transform=axes.get_yaxis_transform(),
    )


def draw_legend(axes: Axes) -> None:
    """Draws the legend of the labelled artists where there is room."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=11, labelcolor=INK, loc="best")


def legend_above(axes: Axes, columns: int) -> None:
    """Draws the legend over the whole width, in the room of ``canvas(top=…)``: 18 units a line."""
    handles, labels = axes.get_legend_handles_labels()
    figure = axes.get_figure()
    if handles and figure is not None:
        figure.legend(
            handles,
            labels,
            frameon=False,
            fontsize=11,
            labelcolor=INK,
            loc="upper left",
            bbox_to_anchor=(-0.01, 1.0),
            ncols=columns,
            handlelength=1.1,
            handletextpad=0.5,
            columnspacing=1.2,
            borderaxespad=0.2,
        )


def as_svg(figure: Figure, name: str, description: str) -> str:
    """Returns the figure as an inline ``<svg>``: same figure, same text; nothing in it points outside the page."""
    buffer = io.StringIO()
    with warnings.catch_warnings(), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": f"{name} {description}"}):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the browser has its own fonts
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    drawn = buffer.getvalue()
    body = drawn[drawn.index(">", drawn.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"/>|font-family: [^;"]*; | transform="rotate\(-0 [^"]*"', "", body)
    body = re.sub(r'<g id="[^"]*">', "<g>", body)  # the next figure has the same ids
    body = re.sub("(?<=: )(" + "|".join(_THEME) + ")", lambda found: _THEME[found[0]], body)
    body = re.sub(r"\s+", " ", body)
    width, height = (side / _UNIT_IN for side in figure.get_size_inches())
    return (
        f'<svg class="plot" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{html.escape(description)}">'
        f"{body}"
    )


def write_picture(figure: Figure, path: Path, description: str) -> None:
    """Writes a figure drawn on `canvas` as a file: .svg, which follows light and dark themes, or .png.

    Raises:
        OSError: the file cannot be written.
    """
    if path.suffix.lower() == ".svg":
        drawn = as_svg(figure, path.stem, description)
        opening, _, body = drawn.partition(">")
        style = f"{THEME_RULES}svg{{background:var(--card);font-family:sans-serif}}"
        names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        write_whole(path, f"{opening} {names}><style>{style}</style>{body}")
        return
    buffer = io.BytesIO()
    _recoloured(figure).savefig(buffer, format="png", dpi=200, facecolor=LIGHT["card"])
    write_whole(path, buffer.getvalue())


def _recoloured(figure: Figure) -> Figure:
    """Replaces the placeholder colours by those of the light theme: a PNG has no theme."""
    for artist in figure.findobj():
        for part in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            get, set_ = getattr(artist, f"get_{part}", None), getattr(artist, f"set_{part}", None)
            if get is None or set_ is None:
                continue
            with suppress(ValueError):  # "none", "auto", or many colours in one
                placeholder = mpl.colors.to_hex(get())
                if placeholder in _THEME:
                    set_(LIGHT[_THEME[placeholder][6:-1]])
    return figure
