"""The only room that changes globals of T5, Mesh, SeqIO, gin and TensorFlow Datasets.

- T5: default vocabulary of tasks (`vocabulary`)
- Mesh: attention, norms and Adafactor that gin chooses, and the order of keys and values that
  decoding keeps (`dot_product`, `sublayers`, `optimizer`)
- Mesh: products and the gradient of ReLU (`products`, `relu`)
- Mesh: random numbers and updates of a step (`repeatable`)
- Mesh: learning rate of a run that starts from a checkpoint (`schedules`)
- Mesh: attention weights and beams, while they are recorded (`recording`, `generation`)
- Mesh: scores without a file (`session`)
- SeqIO: mixtures that name T5's tasks (`session`)
- SeqIO: folders of data and caches, Beam's workers (`data_folder`, `caches`, `beam_workers`)
- gin: files that are read after a check (`gin_reader`)
- gin: selectors of release 0.1 (`old_selectors`)
- TensorFlow Datasets: newer and remote data sets (`newer_data_sets`, `epath_schemes`)
- Estimator: evaluation without files of TensorBoard (`event_files`)

`runtime.compat` makes T5 and Mesh run on current TensorFlow. The other modules here read.
"""
