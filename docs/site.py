"""A hook of mkdocs: brings files from outside docs/ into the site, wherever a page links to them.

README.md becomes the first page. So README and the pages can be read on GitHub and in the site,
without a copy of anything.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
HOME = "index.md"
PAGES = {
    "README.md": HOME,
    **{name: name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")},
}
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add README, the other pages at the top, and every file that a page links to."""
    for name, uri in PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / name)))
    sources = [*(ROOT / name for name in PAGES), *(ROOT / "docs").glob("*.md")]
    pending = [(source, source.read_text()) for source in sources]
    while pending:
        source, text = pending.pop()
        for target in {match[1] for match in _LINK.finditer(text)}:
            file = _shown(source.parent / target)
            uri = _uri(file)
            if not file.is_file() or files.get_file_from_path(uri):
                continue
            files.append(File.generated(config, uri, abs_src_path=str(file)))
            if file.suffix == ".md":
                pending.append((file, file.read_text()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn each link into one between pages of the site."""
    del config, files
    source = Path(page.file.abs_src_path or "")
    depth = page.file.src_uri.count("/")

    def site(match: re.Match[str]) -> str:
        file = _shown(source.parent / match[1])
        if not file.is_file():  # mkdocs warns about it
            return match[0]
        return f"]({'../' * depth}{_uri(file)}{match[2] or ''})"

    return _LINK.sub(site, markdown)


def _shown(target: Path) -> Path:
    """Return the file that the site shows for a link: of a report, the interactive page.

    GitHub shows report.md instead. Both in the site would have the same address.
    """
    file = target.resolve()
    page = file.with_suffix(".html")
    return page if file.suffix == ".md" and page.is_file() else file


def _uri(file: Path) -> str:
    """Return the place of a file in the site; what is in docs/ is at the top."""
    path = file.relative_to(ROOT).as_posix()
    return PAGES.get(path, path.removeprefix("docs/"))
