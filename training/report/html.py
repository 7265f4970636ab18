"""Small pieces of HTML; every text is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from training.report.style import INK, MUTED, PAPER, RULE

STYLE_SHEET = f"""
:root {{ color-scheme: light; }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: #f3f5f6; color: {INK}; }}
body {{ font: 15px/1.55 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }}
main {{ max-width: 1160px; margin: 0 auto; padding: 40px 44px 64px; background: {PAPER}; }}
h1 {{ font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }}
h2 {{ font-size: 20px; margin: 44px 0 10px; padding-top: 18px; border-top: 1px solid {RULE}; }}
h3 {{ font-size: 15px; margin: 0 0 2px; }}
p {{ margin: 0 0 12px; max-width: 78ch; }}
.lead {{ font-size: 17px; color: {MUTED}; }}
.figures {{ display: flex; gap: 14px; margin: 24px 0 8px; }}
.figure {{ flex: 1; padding: 14px 18px; border: 1px solid {RULE}; border-top: 3px solid {INK}; border-radius: 4px; }}
.figure b {{ display: block; font-size: 30px; line-height: 1.15; font-variant-numeric: tabular-nums; }}
.figure span {{ color: {MUTED}; font-size: 13px; }}
table {{ border-collapse: collapse; margin: 12px 0 16px; width: 100%; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 7px 12px; text-align: right; border-bottom: 1px solid {RULE}; white-space: nowrap; }}
th {{ color: {MUTED}; font-weight: 600; font-size: 13px; border-bottom: 2px solid {INK}; }}
th:first-child, td:first-child {{ text-align: left; padding-left: 0; }}
td.wrap {{ white-space: normal; text-align: left; }}
.chip {{ display: inline-block; width: 22px; height: 6px; margin-right: 9px; }}
.chip {{ border-radius: 3px; vertical-align: middle; }}
img {{ display: block; width: 100%; height: auto; }}
figure {{ margin: 18px 0 26px; }}
figcaption {{ margin-top: 8px; color: {MUTED}; font-size: 13.5px; }}
.pair {{ display: grid; grid-template-columns: 2fr 1fr; gap: 6px; }}
.pair img {{ border-radius: 3px; }}
.scene {{ break-inside: avoid; margin: 0 0 30px; }}
.scene p {{ color: {MUTED}; font-size: 13.5px; margin: 6px 0 0; }}
.legend {{ color: {MUTED}; font-size: 13.5px; margin: 0 0 18px; max-width: none; }}
.legend > span {{ margin-right: 22px; white-space: nowrap; }}
pre {{ background: #f3f5f6; border: 1px solid {RULE}; border-radius: 4px; padding: 12px 14px; }}
pre {{ font-size: 12.5px; line-height: 1.5; white-space: pre-wrap; overflow-wrap: anywhere; }}
code {{ font-size: 0.92em; }}
@media print {{
  body {{ background: {PAPER}; font-size: 11pt; }}
  main {{ max-width: none; padding: 0; }}
  h2 {{ break-after: avoid; }}
  figure, table, .figures {{ break-inside: avoid; }}
  * {{ -webkit-print-color-adjust: exact; print-color-adjust: exact; }}
}}
"""


def page(name: str, body: Iterable[str]) -> str:
    """A whole page that loads nothing from elsewhere."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(name)}</title>\n<style>{STYLE_SHEET}</style>\n</head>\n<body><main>\n"
        + "\n".join(body)
        + "\n</main></body>\n</html>\n"
    )


def title(text: str) -> str:
    """Heading of the page."""
    return f"<h1>{escape(text)}</h1>"


def heading(text: str) -> str:
    """Heading of a section."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def image(data_url: str, description: str) -> str:
    """An embedded picture."""
    return f'<img src="{data_url}" alt="{escape(description)}">'


def captioned(content: str, caption: str) -> str:
    """``content`` (HTML) with a caption below."""
    return f"<figure>{content}<figcaption>{escape(caption)}</figcaption></figure>"


def chip(color: str) -> str:
    """A dash of colour before a name."""
    return f'<span class="chip" style="background:{color}"></span>'


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Colours with their names."""
    spans = "".join(f"<span>{chip(color)}{escape(label)}</span>" for color, label in entries)
    return f'<p class="legend">{spans}</p>'


def key_figures(entries: Sequence[tuple[str, str, str]]) -> str:
    """Boxes with a colour, a number and what it is."""
    boxes = "".join(
        f'<div class="figure" style="border-top-color:{color}"><b>{escape(value)}</b><span>{escape(label)}</span></div>'
        for color, value, label in entries
    )
    return f'<div class="figures">{boxes}</div>'


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], colors: Sequence[str] = (), wrap_last: bool = False
) -> str:
    """A table; ``colors`` puts a chip before the first cell of each row, ``wrap_last`` lets the last column break."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = []
    for index, row in enumerate(rows):
        cells = [escape(cell) for cell in row]
        cells[0] = (chip(colors[index]) if colors else "") + cells[0]
        last = f'<td class="wrap">{cells[-1]}</td>' if wrap_last else f"<td>{cells[-1]}</td>"
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells[:-1]) + last + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def listing(lines: Sequence[str]) -> str:
    """Lines as they are, in type of fixed width."""
    return f"<pre>{escape(chr(10).join(lines))}</pre>"


def scene(name: str, pictures: Sequence[str], caption: str) -> str:
    """Two pictures side by side under a title."""
    return (
        f'<section class="scene"><h3>{escape(name)}</h3><div class="pair">{"".join(pictures)}</div>'
        f"<p>{escape(caption)}</p></section>"
    )
