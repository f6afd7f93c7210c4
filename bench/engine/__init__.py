"""The parent of the workers: starts them, visits them in rounds, and ends them.

Only its fork server, a process of its own, imports torch.
"""
