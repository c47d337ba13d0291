"""Operations that Mesh-TensorFlow lacks or computes slowly."""
