"""Starting workers, as fresh interpreters or as forks, and talking to them.

Of this package only the fork server, a separate process, imports torch.
"""
