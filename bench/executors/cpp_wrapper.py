"""The option ``cpp_wrapper``: Inductor's code that calls the kernels, in C++ instead of Python.

Inductor has no CUDA graphs for it as long as it partitions graphs, which is its default: on CUDA,
``max-autotune+cpp_wrapper`` is not replayed, and the report says so.
"""

from bench.executors.option import Option

CPP_WRAPPER = Option(
    name="cpp_wrapper",
    what="Inductor's code that calls the kernels, in C++ instead of Python",
    code="from torch._inductor import config\n\nconfig.cpp_wrapper = True\n",
)
