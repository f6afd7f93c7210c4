"""The gate's own error rates: what it says of code that did not change, and of code that did."""
