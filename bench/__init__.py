"""How networks are measured, judged and shown."""

__version__ = "0.1.0"
