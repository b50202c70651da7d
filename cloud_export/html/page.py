"""Builds the frame of every report page: its head and its style.

A page loads nothing: style, plots and text are in one file, so it can be mailed, archived and printed.
"""

from __future__ import annotations

import re
from html import escape
from typing import Final

# The colours of both themes, as CSS variables.
THEME_RULES: Final = """\
:root{--page:#fbfaf8;--card:#fff;--ink:#1d2126;--muted:#626a73;--line:#dcdfe3;--accent:#0b6e8a;--second:#8a95a3;
--quiet:#d3d8de;--good:#2c7d4f;--bad:#b5433a;--mark:#eef5f7}
@media (prefers-color-scheme:dark){:root{--page:#14171a;--card:#1c2024;--ink:#e8eaed;--muted:#9aa3ad;--line:#33393f;
--accent:#4fb3cf;--second:#7d8895;--quiet:#3f474f;--good:#5cb585;--bad:#e0796f;--mark:#1f2d33}}
"""
LIGHT: Final = dict(re.findall(r"--(\w+):(#\w+)", THEME_RULES.partition("@media")[0]))


def page(title: str, headline: str, body: str) -> str:
    """Returns a whole page; the body is HTML already, the rest is escaped here."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)}</title><style>{_STYLE}</style></head>\n'
        f"<body><main><header><p class=kicker>{escape(title)}</p><h1>{escape(headline)}</h1></header>"
        f"{body}</main></body></html>\n"
    )


_STYLE = f"""
{THEME_RULES}*{{box-sizing:border-box}}
body{{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}}
main{{max-width:1080px;margin:0 auto;padding:40px 20px 56px}}
h1{{font-size:clamp(1.25rem,1rem + 1.5vw,1.9rem);line-height:1.3;font-weight:600;margin:0 0 28px;max-width:34em;
text-wrap:pretty}}
h2{{font-size:1.25rem;font-weight:600;margin:0 0 12px}}
h3{{font-size:.95rem;font-weight:600;margin:18px 0 6px}}
p{{margin:0 0 12px;max-width:70ch}}
section{{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:22px 24px;margin-top:18px}}
.kicker,.note,figcaption,.tiles span{{color:var(--muted);font-size:.875rem}}
.kicker{{margin:0 0 8px}}
.note{{margin:10px 0}}
.tiles{{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:14px}}
.tiles div{{border-top:3px solid var(--accent);padding-top:8px}}
.tiles b{{display:block;font-size:1.6rem;font-weight:600;line-height:1.25;font-variant-numeric:tabular-nums}}
.tiles span{{display:block;line-height:1.4}}
.charts{{display:grid;gap:20px 28px;align-items:start}}
.three{{grid-template-columns:repeat(auto-fit,minmax(min(100%,290px),1fr))}}
.two{{grid-template-columns:repeat(auto-fit,minmax(min(100%,380px),1fr))}}
figure{{margin:0;max-width:520px;break-inside:avoid}}
figcaption{{margin-bottom:8px;min-height:2.8em}}
.two figcaption{{min-height:0}}
figcaption b{{color:var(--ink);font-size:1rem;display:block}}
svg.plot{{display:block;width:100%;height:auto;font-family:inherit;font-variant-numeric:tabular-nums}}
svg.plot text{{paint-order:stroke;stroke:var(--card);stroke-width:3px}}
svg.plot *{{stroke-linejoin:round;stroke-linecap:butt}}
.scroll{{overflow-x:auto;margin:4px 0}}
table{{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}}
th,td{{padding:6px 14px 6px 0;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap;font-weight:400}}
th:first-child{{text-align:left;white-space:normal}}
thead th{{color:var(--muted);font-size:.8rem}}
th:last-child,td:last-child{{padding-right:0}}
td small{{font-size:.85em;color:var(--muted)}}
.marked>*{{background:var(--mark);font-weight:600}}
.good{{color:var(--good)}}.bad{{color:var(--bad);font-weight:600}}
dl{{margin:0}}
dd{{margin:0}}
.meanings>div{{display:grid;grid-template-columns:minmax(9em,13em) 1fr;gap:12px;padding:3px 0;font-size:.9rem}}
.meanings dd,.facts dt{{color:var(--muted)}}
.facts>div{{display:flex;justify-content:space-between;gap:16px;padding:5px 0;border-bottom:1px solid var(--line);
font-size:.9rem}}
.facts dd{{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}}
.meter dt{{font-size:.9rem;margin-top:10px}}
.meter dd{{display:flex;align-items:center;gap:10px}}
.meter i{{height:14px;background:var(--accent);border-radius:2px;min-width:2px}}
.meter dd~dd i{{background:var(--second)}}
summary{{cursor:pointer;color:var(--accent);margin-top:14px}}
details .charts{{margin-top:16px}}
pre{{background:var(--page);border:1px solid var(--line);border-radius:6px;padding:10px 12px;overflow-x:auto;
font-size:.85rem;margin:0 0 12px}}
ul{{margin:0;padding-left:1.2em;max-width:75ch}}
@media (max-width:560px){{main{{padding:24px 12px 40px}}section{{padding:18px 14px}}figcaption{{min-height:0}}
.meanings>div{{grid-template-columns:1fr;gap:0;padding:5px 0}}
table{{font-size:.82rem}}th,td{{padding-right:8px}}td small{{display:block;font-size:.7rem;white-space:normal}}}}
@media print{{:root{{--page:#fff;--card:#fff;--ink:#000;--muted:#444;--line:#ccc;--accent:#0b6e8a;--second:#8a95a3;
--quiet:#d3d8de;--good:#2c7d4f;--bad:#b5433a;--mark:#eef5f7}}
body{{font-size:10.5pt}}main{{max-width:none;padding:0}}section{{border:0;border-top:1px solid #ccc;border-radius:0;
padding:14px 0;break-inside:auto}}.three{{grid-template-columns:repeat(3,1fr)}}
h2,h3{{break-after:avoid}}tr,dl>div{{break-inside:avoid}}
*{{-webkit-print-color-adjust:exact;print-color-adjust:exact}}}}
"""
