"""Writes the weights of a checkpoint twice: as they are, and with one weight of the first expert changed.

Both files hold parameters alone, without optimiser state and checksums, as a PyTorch user would write them.
"""

import sys

from safetensors.numpy import load_file, save_file

source, same, changed = sys.argv[1:]
tensors = {name: tensor for name, tensor in load_file(source).items() if not name.startswith("optimizer.")}
save_file(tensors, same)
weight = tensors["experts.0.out.weight"].copy()
weight.flat[0] += 0.25
save_file({**tensors, "experts.0.out.weight": weight}, changed)
