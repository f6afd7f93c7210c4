"""Reports of a run: data frames and the formats made from them. Does not import torch."""
