import re
from importlib.resources import files

import pytest

# WCAG 2.2, success criterion 1.4.3, for text of normal size.
MIN_CONTRAST = 4.5
CSS = (files("bench.report.page") / "page.css").read_text(encoding="utf-8")
INKS = {
    "page": ("text", "muted", "link", "good", "unsure", "bad"),
    "raised": ("text", "muted", "link", "good", "unsure"),
    "unsure-page": ("text", "link"),
    "bad-page": ("text", "muted", "bad"),
}


def inks(scheme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    pattern = re.compile(r"--([\w-]+): (#\w{6});")
    return dict(pattern.findall(light)) | (dict(pattern.findall(dark)) if scheme == "dark" else {})


def luminance(ink: str) -> float:
    """Return the relative luminance, as defined by WCAG 2.2."""
    channels = [int(ink[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("paper", "ink"), [(paper, ink) for paper, on_paper in INKS.items() for ink in on_paper]
)
def test_text_has_enough_contrast_with_its_background(scheme: str, paper: str, ink: str) -> None:
    colours = inks(scheme)
    darker, lighter = sorted((luminance(colours[paper]), luminance(colours[ink])))
    assert (lighter + 0.05) / (darker + 0.05) >= MIN_CONTRAST
