"""Runs as PyTorch modules and PyTorch's weights as runs: the same predictions to 1e-5, in both directions.

    python3 Tests/Interop/torch_interop.py .build/release/moe-dist [--onnx]

--onnx: the exported models, too, run by onnxruntime on the same images. Needs torch and safetensors, for --onnx also
onnx, onnxscript and onnxruntime. Exit code 0: everything agrees; 1: something does not, and the last line says what;
77: a package is not there, nothing was tested.
"""

import importlib.machinery
import importlib.util
import pathlib
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
try:
    import numpy
    import safetensors  # noqa: F401
    import torch
    from moe_dist_torch import build, load_run, read_images, save_weights

    if "--onnx" in sys.argv:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

TOLERANCE = 1e-5
# Large steps, so that a few of them tell experts and gates apart.
TRAIN = ["--experts", "3", "--batch-size", "64", "--validation-fraction", "0", "--learning-rate", "0.01", "--no-images"]
QUIET = ["--quiet", "--progress", "none"]


def run(binary, *arguments):
    done = subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def write_idx(path, values):
    """Bytes as an IDX file."""
    path.write_bytes(struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes())


def grey_data(scratch):
    """28 x 28 images whose bright square tells the class, in noise; and the options that train on them."""
    generator, options = numpy.random.default_rng(11), ["--dataset", "idx", "--mean", "0.3", "--std", "0.35"]
    for split, count in [("train", 640), ("test", 150)]:
        labels = numpy.arange(count) % 10
        images = generator.integers(0, 140, (count, 28, 28))
        for image, label in zip(images, labels):
            image[2 + 5 * (label // 2) : 7 + 5 * (label // 2), 3 + 13 * (label % 2) : 13 + 13 * (label % 2)] += 110
        write_idx(scratch / f"{split}-images", images.astype(numpy.uint8))
        write_idx(scratch / f"{split}-labels", labels.astype(numpy.uint8))
        options += [f"--{split}-images", scratch / f"{split}-images", f"--{split}-labels", scratch / f"{split}-labels"]
    return options, scratch / "test-images"


def colour_data(binary, scratch):
    """A part of the built-in colour images as CIFAR-100 files."""
    run(binary, "data", "export", "--to", scratch / "rgb", "--train-samples", 400, "--test-samples", 100)
    return ["--dataset", "cifar-100", "--data-dir", scratch / "rgb"], scratch / "rgb" / "test.bin"


def table(text):
    """A CSV with a header, a list of numbers per column; nothing is 0."""
    head, *lines = text.split()
    rows = [[float(word or 0) for word in line.split(",")] for line in lines]
    return dict(zip(head.split(","), numpy.array(rows).T))


def answered(binary, directory, images, *rule):
    """What the program says of the images: class, probability and expert, and the gate's probabilities."""
    answers = table(run(binary, "predict", directory, "--images", images, *rule))
    file = directory.parent / "samples.csv"
    run(binary, "evaluate", directory, "--per-sample", file, "--force", *rule)
    return answers, table(file.read_text())


def differences(y, p, answers, samples):
    """The largest difference of a probability; classes and experts must be the same but for ties within TOLERANCE."""
    rows = numpy.arange(len(y))
    chosen, expert = answers["class"].astype(int), answers["expert"].astype(int)
    worst = numpy.abs(y[rows, chosen] - answers["probability"]).max()
    assert (y.max(1) - y[rows, chosen]).max() < TOLERANCE, "another class"
    assert numpy.allclose(y.sum(1), 1, atol=TOLERANCE), "probabilities of the classes"
    gate = [name for name in samples if name.startswith("p") and name != "prediction"]
    if gate:
        assert len(gate) == p.shape[1], f"{len(gate)} experts in the table, {p.shape[1]} in the module"
        assert (p.max(1) - p[rows, expert]).max() < TOLERANCE, "another expert"
        worst = max(worst, *(numpy.abs(p[:, e] - samples[f"p{e}"]).max() for e in range(len(gate))))
    return float(worst)


def same_predictions(binary, directory, images, model, *rule):
    """The largest difference between a module and what the program says of the run by the same rule."""
    answers, samples = answered(binary, directory, images, *rule)
    with torch.no_grad():
        y, p = model(model.normalised(read_images(images)))
    return differences(y.numpy(), p.numpy(), answers, samples)


def trained(binary, scratch, title, data, steps, *options):
    directory = scratch / title
    arguments = [*data, *TRAIN, "--max-steps", steps, *options, *QUIET]
    run(binary, "train", *arguments, "--run-dir", directory)
    return directory


def runs(binary, scratch, grey, colour):
    """Titles of runs with their directories and images."""
    top = ["--combine", "top-k", "--top-k"]
    cases = [
        ("mnist", grey, 12, ["--model", "mnist"]),
        ("mnist-attentive", grey, 12, ["--model", "mnist", "--gate", "attentive"]),
        ("mnist-attentive-top-2", grey, 12, ["--model", "mnist", "--gate", "attentive", *top, "2"]),
        ("mnist-stochastic", grey, 12, ["--model", "mnist", "--combine", "stochastic", "--temperature", "2"]),
        ("mnist-single", grey, 12, ["--model", "mnist", "--gate", "none"]),
        ("fashion-top-1", grey, 12, ["--model", "fashion-mnist", *top, "1"]),
        ("fashion-top-2", grey, 12, ["--model", "fashion-mnist", *top, "2", "--temperature", "0.5"]),
        ("combined", grey, 6, ["--model", "combined"]),
        ("cifar-small", colour, 3, ["--model", "cifar-small"]),
        ("cifar-attentive", colour, 2, ["--model", "cifar", "--gate", "attentive"]),
    ]
    found = [
        (title, trained(binary, scratch, title, data, steps, *options), images)
        for title, (data, images), steps, options in cases
    ]
    distilled = scratch / "distilled"
    run(binary, "distill", scratch / "mnist-attentive", "--max-steps", 12, *QUIET, "--run-dir", distilled)
    return [*found, ("distilled", distilled, grey[1])]


def from_pytorch(binary, scratch, grey, colour):
    """Fresh weights of PyTorch, by the functions and by the script; a run of no step has them and answers alike."""
    worst = 0.0
    for model, gate, (data, images) in [
        ("mnist", "softmax", grey), ("fashion-mnist", "attentive", grey), ("cifar-small", "softmax", colour)
    ]:  # fmt: skip
        title = f"from-pytorch-{model}"
        torch.manual_seed(5)
        module = build(model, 3, gate).eval()
        with torch.no_grad():
            # Statistics that differ from their usual start, so that they are seen to be taken.
            for name, values in module.named_buffers():
                if "running" in name:
                    values.copy_(torch.rand_like(values) + 0.5)
        file = scratch / f"{title}.safetensors"
        save_weights(module, file)
        directory = trained(binary, scratch, title, data, 0, "--model", model, "--gate", gate, "--init-from", file)
        loaded = load_run(directory)
        module.mean, module.deviation = loaded.mean, loaded.deviation
        worst = max(worst, same_predictions(binary, directory, images, module))
    script = scratch / "script.safetensors"
    words = ["--model", "mnist", "--experts", "3", "--seed", "5"]
    torch.manual_seed(5)
    torch.save(build("mnist", 3).state_dict(), scratch / "state.pt")
    for more in [[], ["--state", scratch / "state.pt", "--seed", "6", "--force"]]:
        subprocess.run([sys.executable, ROOT / "scripts/torch-weights", script, *words, *more], check=True)
        assert script.read_bytes() == (scratch / "from-pytorch-mnist.safetensors").read_bytes(), f"the script, {more}"
    again = subprocess.run([sys.executable, ROOT / "scripts/torch-weights", script], capture_output=True, text=True)
    assert again.returncode == 1 and "--force replaces it" in again.stderr, f"a file that is there: {again}"
    return worst


def exported(binary, scratch, title, images, directory, *rule):
    """The largest difference between onnxruntime's answers and the program's."""
    loader = importlib.machinery.SourceFileLoader("export_onnx", str(ROOT / "scripts/export-onnx"))
    script = importlib.util.module_from_spec(importlib.util.spec_from_loader("export_onnx", loader))
    loader.exec_module(script)
    file = scratch / f"{title}.onnx"
    sys.argv = ["export-onnx", str(directory), "--output", str(file), *map(str, rule)]
    script.main()
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    pixels = load_run(directory).normalised(read_images(images)).numpy()
    y, p = session.run(None, {"images": pixels})
    return differences(y, p, *answered(binary, directory, images, *rule))


def report(title, worst):
    assert worst < TOLERANCE, f"{title}: probabilities differ by {worst:.1e}"
    print(f"ok: {title}, largest difference {worst:.1e}", flush=True)


def main(binary):
    with tempfile.TemporaryDirectory() as name:
        scratch = pathlib.Path(name)
        grey, colour = grey_data(scratch), colour_data(binary, scratch)
        known = runs(binary, scratch, grey, colour)
        for title, directory, images in known:
            report(f"{title} as modules", same_predictions(binary, directory, images, load_run(directory)))
        for title, k, weights in [
            ("mnist", 1, "full"), ("mnist", 2, "renormalised"), ("distilled", 1, "renormalised"), ("cifar-small", 1, "full")
        ]:  # fmt: skip
            directory, images = next((directory, images) for name, directory, images in known if name == title)
            rule = ["--combine", "top-k", "--top-k", k, "--top-k-weights", weights]
            model = load_run(directory, "top-k", k, weights)
            report(f"{title} by top-{k}, {weights}", same_predictions(binary, directory, images, model, *rule))
        report("runs from PyTorch's weights", from_pytorch(binary, scratch, grey, colour))
        if "--onnx" in sys.argv:
            top = ["--combine", "top-k", "--top-k", "1"]
            places = {title: (images, directory) for title, directory, images in known}
            for title, rule in [
                ("mnist", []), ("fashion-top-2", []), ("mnist-attentive", []), ("distilled", top), ("cifar-small", [])
            ]:  # fmt: skip
                report(f"{title} by onnxruntime", exported(binary, scratch, title, *places[title], *rule))
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
