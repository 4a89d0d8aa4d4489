"""How a network learns: the training loop, losses and augmentation that `retraining` and `new_task` share."""
