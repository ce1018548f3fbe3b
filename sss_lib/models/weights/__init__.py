"""Files of weights: found or downloaded (`file`), their `formats`, and read into networks (`checkpoint`)."""
