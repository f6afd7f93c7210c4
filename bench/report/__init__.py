"""How a run is shown: data frames, and the formats made from them. Needs no torch."""
