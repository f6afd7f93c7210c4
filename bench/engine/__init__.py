"""The coordinator: starts the workers, visits them in rounds, and ends them.

Of this package only the fork server, a separate process, imports torch.
"""
