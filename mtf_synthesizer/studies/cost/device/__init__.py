"""Memory and communication of each device of a mesh: `cost --mesh_shape`."""
