from collections.abc import Callable

from bench.engine.progress import Progress
from bench.engine.remote import messages
from bench.engine.remote.forwarded import Forwarded
from bench.engine.remote.messages import Message, Shown
from tests.bench import runs
from tests.bench.engine.running import Watcher, cell


def calls(progress: Progress) -> None:
    """Call each method of a progress observer, except ``failed``, which an event replaces."""
    progress.phase("set 1: measuring", 3)
    progress.visited("a")
    progress.advance("b", 2)
    progress.judged(1, 3, "load")
    progress.note("waiting")


def sent_through(watcher: Watcher) -> Callable[[Message], None]:
    """Return what shows the messages of a node after they were written and read."""

    def send(message: Message) -> None:
        shown = messages.decode(messages.encode(message))
        assert isinstance(shown, Shown)
        shown.show(watcher)

    return send


def test_progress_on_a_node_is_shown_as_if_it_were_here() -> None:
    here, elsewhere = Watcher(), Watcher()
    calls(here)
    forwarded = Forwarded(sent_through(elsewhere))
    calls(forwarded)
    forwarded.failed(cell("works"), runs.FAILURE)
    assert vars(elsewhere) == vars(here)
