"""All measurements that need a GPU, run together on a machine that is available for minutes."""
