"""The benchmark suite's options: ``pytest bench/suite`` measures, ``pytest`` runs the tests."""

pytest_plugins = ["bench.suite.plugin"]
