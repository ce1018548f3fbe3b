"""What several loaders put before their networks: spectrograms, Kaldi's features, batches of windows."""
