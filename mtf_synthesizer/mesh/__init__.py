"""Operations that Mesh-TensorFlow lacks or does slowly."""
