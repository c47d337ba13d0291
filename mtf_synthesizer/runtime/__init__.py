"""How TensorFlow is loaded, adapted, silenced and stopped."""
