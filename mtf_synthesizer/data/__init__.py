"""Data sets as people have them on disk: official files, checked and made ready for training.

Reading needs neither TensorFlow nor a network; only `prepared`, which writes what
tensorflow_datasets reads, loads TensorFlow.
"""
