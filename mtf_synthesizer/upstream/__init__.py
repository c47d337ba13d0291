"""The only room that changes globals of T5, Mesh, SeqIO, gin and TensorFlow Datasets."""
