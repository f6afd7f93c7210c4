"""Where the time goes inside a network: its stages and their branches, timed one by one."""
