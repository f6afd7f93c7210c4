"""Study of the gate's error rates, on unchanged code and on code with injected slowdowns."""
