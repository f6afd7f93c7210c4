"""How fast a history of many runs is."""
