"""The cells that are measured: archs, modes, dtypes, tasks and inputs; waves and the plan."""
