"""What a search costs per evaluation, here and in Propulate, libEnsemble and Optuna."""
