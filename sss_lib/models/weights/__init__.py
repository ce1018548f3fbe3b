"""Files of weights: which (`file`), fetched (`fetch`), their formats, read into a network (`checkpoint`)."""
