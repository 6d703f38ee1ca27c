"""The files of a trial's folder, which the emitter writes and the supervisor reads."""

TRAIN_VAL = "train_val.prototxt"
DEPLOY = "deploy.prototxt"
SOLVER = "solver.prototxt"
TRIAL = "trial.json"
"""The limits that Caffe does not know."""
