"""What the suite says of itself: ``nox -s selfcheck`` measures it, and writes ``selfcheck.md``."""
