"""Self-check: ``nox -s selfcheck`` measures the suite itself and writes ``selfcheck.md``."""
