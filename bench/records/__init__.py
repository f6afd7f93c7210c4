"""Records of a run: events, the journal, the outcome and the run file."""
