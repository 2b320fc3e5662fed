"""The view as a picture for documents: an SVG without external resources."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path
from typing import Final

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme

WIDTH: Final = 130
HEIGHT: Final = 30

_FONTS: Final = "ui-monospace, 'SFMono-Regular', 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"

_SPACE: Final = "\u00a0"  # all that Rich writes
_PADDED: Final = re.compile(
    r'x="(?P<x>[\d.]+)"(?P<y> y="[\d.]+" )textLength="(?P<width>[\d.]+)"(?P<clip>[^>]*)>(?P<text>[^<]+)<'
)

_THEME: Final = TerminalTheme(
    background=(17, 22, 29),
    foreground=(212, 218, 226),
    normal=[
        (17, 22, 29), (240, 113, 120), (126, 211, 145), (230, 192, 104),
        (106, 169, 255), (206, 147, 235), (94, 206, 218), (212, 218, 226),
    ],
    bright=[
        (92, 103, 117), (255, 139, 146), (152, 230, 170), (245, 212, 130),
        (140, 190, 255), (222, 172, 248), (126, 226, 236), (255, 255, 255),
    ],
)  # fmt: skip

# Rich's own template names a font on a server.
_TEMPLATE: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
    font-family: FONTS;
    font-size: {char_height}px;
    line-height: {line_height}px;
}}
.{unique_id}-title {{ font-family: system-ui, sans-serif; font-size: 16px; font-weight: 600; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
""".replace("FONTS", _FONTS)


def save_svg(view: RenderableType, path: Path) -> None:
    """Draw `view` as on a terminal of WIDTH x HEIGHT cells."""
    console = Console(
        record=True,
        width=WIDTH,
        height=HEIGHT,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(view)
    console.print()  # without it the last line would stand on the frame
    path.parent.mkdir(parents=True, exist_ok=True)
    svg = console.export_svg(title="make demo", theme=_THEME, code_format=_TEMPLATE, unique_id="mdp")
    path.write_text(_PADDED.sub(_trimmed, svg), encoding="utf-8")


def _trimmed(match: re.Match[str]) -> str:
    """A text at its position without surrounding spaces, which not every program preserves."""
    text = html.unescape(match["text"])
    bare = text.strip(_SPACE)
    cell = float(match["width"]) / len(text)
    x = float(match["x"]) + cell * (len(text) - len(text.lstrip(_SPACE)))
    return f'x="{x:g}"{match["y"]}textLength="{cell * len(bare):g}"{match["clip"]}>{_escaped(bare)}<'


def _escaped(text: str) -> str:
    return html.escape(text, quote=False).replace(_SPACE, "&#160;")
