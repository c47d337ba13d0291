"""Loading, adapting, silencing and stopping TensorFlow."""
