"""Files of weights: found or fetched (`file`), told by their formats, read into networks (`checkpoint`)."""
