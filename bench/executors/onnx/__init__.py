"""ONNX, the form in which other runtimes get a network."""
