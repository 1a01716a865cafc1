package func initialise(_ spec: TensorSpec, seed: UInt64, into: Floats) {}
