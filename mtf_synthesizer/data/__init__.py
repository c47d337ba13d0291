"""Data sets as people have them on disk: official files, checked and prepared for training.

Reading needs neither TensorFlow nor a network. Only `prepared`, which writes the files that
tensorflow_datasets reads, loads TensorFlow.
"""
