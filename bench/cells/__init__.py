"""What is measured: a cell, all that it is made of, and the plan of many."""
