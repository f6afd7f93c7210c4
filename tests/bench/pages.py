"""The figures of Markdown pages: what must not change if only a sentence does."""

import re

NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")


def table_figures(page: str) -> list[list[str]]:
    """Return the numbers in each row of the page's tables, without the rows of headings."""
    lines = page.splitlines()
    is_rule = [bool(re.fullmatch(r"\|[-:| ]+\|", line)) for line in lines]
    return [
        NUMBER.findall(line)
        for line, rule, next_rule in zip(lines, is_rule, [*is_rule[1:], False], strict=True)
        if line.startswith("|") and not rule and not next_rule
    ]
