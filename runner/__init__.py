"""Master, workers, transports, trials and the journal of a run."""
