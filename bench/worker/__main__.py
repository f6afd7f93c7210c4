"""``python -m bench.worker``: a worker by itself."""

import os

from bench.worker.lifeline import die_with
from bench.worker.worker import run

if __name__ == "__main__":
    die_with(os.getppid())
    run()
