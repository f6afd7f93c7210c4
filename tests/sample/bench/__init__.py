"""A package of the sample project that has the name of one of googlenet-bench's."""

OWNER = "sample"
