"""``python -m bench.worker``: a worker by itself."""

import os

from bench.worker.lifeline import die_with
from bench.worker.worker import run

die_with(os.getppid())
run()
