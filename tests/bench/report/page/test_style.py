import re
from importlib.resources import files

import pytest

# WCAG 2.2, success criterion 1.4.3, of text in its usual size.
LEAST_CONTRAST = 4.5
CSS = (files("bench.report.page") / "page.css").read_text(encoding="utf-8")
ON = {
    "page": ("text", "muted", "link", "good", "unsure", "bad"),
    "raised": ("text", "muted", "link", "good", "unsure"),
    "unsure-page": ("text", "link"),
    "bad-page": ("text", "muted", "bad"),
}


def inks(scheme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    found = re.compile(r"--([\w-]+): (#\w{6});")
    return dict(found.findall(light)) | (dict(found.findall(dark)) if scheme == "dark" else {})


def luminance(ink: str) -> float:
    """Relative, as WCAG 2.2 defines it."""
    channels = [int(ink[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("paper", "ink"), [(on, ink) for on, all_of in ON.items() for ink in all_of]
)
def test_text_stands_out_from_what_it_is_on(scheme: str, paper: str, ink: str) -> None:
    found = inks(scheme)
    darker, lighter = sorted((luminance(found[paper]), luminance(found[ink])))
    assert (lighter + 0.05) / (darker + 0.05) >= LEAST_CONTRAST
