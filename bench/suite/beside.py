"""The suite beside the tests of another project: ``pytest --googlenet-bench``."""

import pytest

from bench.errors import RequestError
from bench.suite import conftest, test_cells
from bench.suite.session import REQUEST, project_request


class _Module(pytest.Module):
    """The module of the suite's items, whatever ``python_functions`` of the project says."""

    def funcnamefilter(self, name: str) -> bool:
        """Collect only the function that reports a cell."""
        return name == test_cells.test_cell.__name__


class _Cells:
    """A pytest plugin that adds the cells to the tests of the project.

    It does not add an argument: pytest would ignore one inside a project's virtual environment.
    """

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        """Add one item for each cell, before options such as ``-k`` deselect any."""
        module = _Module.from_parent(session, path=conftest.FOLDER / "test_cells.py")
        module.obj = test_cells
        cells = list(session.genitems(module))
        if not cells:
            raise pytest.UsageError(
                "--googlenet-bench found no cell to measure, because another plugin or a "
                "conftest.py changes what is collected; use `googlenet-bench run` instead"
            )
        items.extend(cells)


def add(config: pytest.Config) -> None:
    """Add the cells of the project to what pytest collects.

    Raises ``UsageError`` if its settings are invalid.
    """
    try:
        config.stash[REQUEST] = project_request(config)
    except RequestError as error:
        raise pytest.UsageError(str(error)) from error
    plugins = config.pluginmanager
    name = conftest.__file__  # as pytest names it, so that it is not loaded twice
    if not plugins.hasplugin(name):
        plugins.register(conftest, name)
    plugins.register(_Cells())
