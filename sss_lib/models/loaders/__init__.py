"""One file a family of models: `load(spec, device)` gives the network, a waveform to frames."""
