"""What every front calls: requests, measurements, and runs that show themselves."""
