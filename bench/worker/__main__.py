"""``python -m bench.worker``: start a worker in a fresh interpreter."""

import os

from bench.worker.parent_death import die_with_parent
from bench.worker.worker import run

if __name__ == "__main__":
    die_with_parent(os.getppid())
    run()
