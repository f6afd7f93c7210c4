"""Study of the search for change points: false alarms, power and precision, beside other tools."""
