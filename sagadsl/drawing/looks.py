"""How pictures look, on light and on dark pages: the rules of a picture that stands alone, and those for the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sagadsl.drawing.palette import CLASSES, DARK, Style

_RULES = (
    ("", "font: 12px ui-monospace, SFMono-Regular, Menlo, monospace; background: #fff; color: #1c1e21"),
    ("text", "fill: currentColor; white-space: pre"),
    (".title", "font-weight: bold; font-size: 14px"),
    (".id", "font-weight: bold"),
    ("rect", "fill: #fff; stroke: #8a8d91"),
    ("rect.frame", "fill: none"),
    ("rect.handler", "fill: none; stroke: #b3261e; stroke-dasharray: 4 3"),
    ("rect.wait", "stroke-width: 2.5; stroke-dasharray: 1 2"),
    ("rect.saga", "stroke-width: 3"),
    ("rect.end", "stroke-width: 2"),
    ("path", "fill: none; stroke: #6a6e74"),
    (".back", "stroke-dasharray: 4 3"),
    (".thick", "stroke-width: 3"),
    (".error", "stroke: #b3261e; stroke-dasharray: 4 3"),
    (".undo-line", "stroke: #7b5fc8; stroke-dasharray: 4 3"),
    (".between", "stroke: #8886"),
    (".pivot-line", "stroke: #b08900; stroke-width: 2; stroke-dasharray: 8 4"),
    (".tip", "fill: #6a6e74; stroke: none"),
)
_DARK = (
    ("", "background: #16181c; color: #e6e7e9"),
    ("rect", "fill: #23272e"),
    ("path", "stroke: #a2a7ae"),
    (".tip", "fill: #a2a7ae; stroke: none"),
    (".error", "stroke: #f08a82"),
    ("rect.handler", "fill: none; stroke: #f08a82"),
    (".undo-line", "stroke: #b7a3f0"),
    ("rect.frame", "fill: none"),
    (".pivot-line", "stroke: #e0b83a"),
)
_IS_DARK = "@media (prefers-color-scheme: dark)"
ON_PAGE = "svg.saga"


def of_its_own() -> str:
    """Return the style of a picture that stands alone."""
    light, dark = (*_RULES, *_classes(CLASSES)), (*_DARK, *_classes(DARK))
    return "\n".join([*_scoped("svg", light), f"{_IS_DARK} {{", *_scoped("svg", dark), "}"])


def on_page() -> str:
    """Return the same for pictures in a page, whose root has `data-theme` if somebody has chosen one."""
    light, dark = (*_RULES, *_classes(CLASSES)), (*_DARK, *_classes(DARK))
    unless_light, if_dark = f':root:not([data-theme="light"]) {ON_PAGE}', f':root[data-theme="dark"] {ON_PAGE}'
    return "\n".join(
        [*_scoped(ON_PAGE, light), f"{_IS_DARK} {{", *_scoped(unless_light, dark), "}", *_scoped(if_dark, dark)]
    )


def _scoped(root: str, rules: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (f"{f'{root} {selector}'.strip()} {{ {what} }}" for selector, what in rules)


def _classes(styles: Mapping[str, Style]) -> Iterator[tuple[str, str]]:
    for name, style in styles.items():
        frame = f"stroke: {style.stroke}" + ("; stroke-width: 3" if style.thick else "")
        dashed = "; stroke-dasharray: 4 3" if style.dashed else ""
        yield f"rect.c-{name}", f"fill: {style.fill}; {frame}{dashed}"
        yield f"rect.frame.c-{name}", "fill: none"
        yield f"text.c-{name}:not(.frame)", f"fill: {style.text}"
