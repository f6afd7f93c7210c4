"""``python -m bench.studies.changes``: simulate series, and write the detectors' error rates."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from bench.api.progress import TerminalProgress
from bench.atomic import write_text
from bench.errors import RequestError
from bench.exits import Exit
from bench.studies.changes import noise, report, study
from bench.studies.changes.trials import Row
from bench.studies.power import table
from bench.tables import terminal_console

SERIES = 1000
DATA = Path("reports/cpu-amd-epyc-2-cores")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study and write its page and rows; return the exit code, 2 if that fails."""
    options = _parser().parse_args(arguments)
    console = terminal_console(stderr=True)
    rows_path = options.report_dir / report.ROWS_FILE
    try:
        if options.again:
            rows_path.unlink(missing_ok=True)
        if options.series:
            known = table.read(rows_path, Row)
            measured = noise.read(options.data)
            with TerminalProgress(console) as progress:
                for row in study.run(
                    measured,
                    options.series,
                    options.processes,
                    progress,
                    [row.labels for row in known],
                ):
                    table.append(rows_path, [row])
        page = report.render(table.read(rows_path, Row))
        write_text(options.report_dir / report.FILE, page)
    except KeyboardInterrupt:
        console.print("changes: interrupted; the rows until then are kept")
        return Exit.WRONG_REQUEST
    except (RequestError, OSError) as error:
        console.print(f"changes: {error}", markup=False)
        return Exit.WRONG_REQUEST
    console.print(page, markup=False, highlight=False, soft_wrap=True)
    console.print(f"wrote {options.report_dir / report.FILE}", markup=False, soft_wrap=True)
    return Exit.FINE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.studies.changes",
        description="Simulate series of runs, unchanged and with changes, let the search for "
        "changes and the detectors of other tools look at them, and write their error rates to "
        f"{report.FILE} and {report.ROWS_FILE}.",
    )
    parser.add_argument(
        "--series",
        type=_count,
        default=SERIES,
        metavar="N",
        help=f"unchanged series of each noise; slower cases have a 20th of it ({SERIES}). "
        "0 writes the page again from its rows",
    )
    parser.add_argument(
        "--again", action="store_true", help="discard the rows of earlier runs (keep and continue)"
    )
    parser.add_argument(
        "--processes", type=_count, default=os.cpu_count(), metavar="N", help="processes (all CPUs)"
    )
    parser.add_argument(
        "--data", type=Path, default=DATA, metavar="DIR", help=f"reports with A/A data ({DATA})"
    )
    parser.add_argument(
        "--report-dir",
        type=Path,
        default=Path("reports"),
        metavar="DIR",
        help="output folder (reports)",
    )
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected a number of 0 or more, not {text!r}")
    return int(text)
