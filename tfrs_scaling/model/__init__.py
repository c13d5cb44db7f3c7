"""A DLRM of a given shape: its layers, its optimizers, its parameters and FLOPs."""
