"""Where the time goes inside a network: timing of its stages and their branches."""
