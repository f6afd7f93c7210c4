"""Python processes for tests that have the libraries imported when they start.

Importing torch takes 2.5 s and torchvision 5 s on a slow machine, and the tests start hundreds of
processes. ``conftest.py`` makes ``sys.executable`` a program that acts like the interpreter: it
asks one server (``server.py``) for a fork, passes on its arguments, variables, folder and files,
and ends as the fork ends (``client.py``). This project's code is imported before the fork, too; a
process whose path leads to another copy, or to other packages of its names, imports those itself.

A command that a fork would not run alike (``client.forks``, ``client.early``) is given to the real
interpreter. A test that is about a new interpreter names it, ``interpreter.COLD``; with
``pytest --cold`` all use it.
"""
