#!/usr/bin/env python3
"""Adding a feature takes one row or one file: this test adds a modulation, a route, a layer, a model, a key and an experiment to
a copy of their modules, compiles and links them again, and checks that the program knows the additions everywhere.

    newcomer_test.py BUILD SOURCE
"""
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MODULES = ("credit", "nn", "experiment")
# The file; the text before which the addition is inserted, at its first position after the other text; the addition.
ADDITIONS = [
    ("credit/modulation.cpp", "}  // namespace\n", "",
     "at::Tensor mirrored(const FactorSource& from) { return 2 * from.m.mean() - from.m; }\n\n"),
    ("credit/modulation.cpp", "  };\n  return rows;", "modulations() {",
     '      {.name = "mirrored", .summary = "control: the factor, mirrored at its layer\'s mean", .transform = mirrored},\n'),
    ("credit/route.cpp", "}  // namespace\n", "",
     "ErrorPath by_half(const at::Tensor& W, const at::Tensor&) {\n"
     "  return {To::matrix, (W.dim() == 2 ? W.detach().t() : W.detach()) * 0.5};\n}\n\n"),
    ("credit/route.cpp", "  };\n  return rows;", "routes() {",
     '      {"half", "through half of the transposed weights", incoming, true, false, Feedback::none, fixed, by_half},\n'),
    ("nn/layer_kind.h", "MakeLayer linear_layer;", "", "MakeLayer even_layer;\n"),
    ("nn/layer_kind.cpp", "  };\n  return rows;", "layer_kinds() {",
     '      {"even", "z_n = W_n h / |W_n| + b_n", false, even_layer},\n'),
    ("nn/models.cpp", "  };\n  return rows;", "models() {",
     '      {"five", "two hidden layers of five units, the first an even one", false,\n'
     "       [](const Model&, const Signature& signature) {\n"
     "         Stages stages = mlp({.widths = {5, 5}}, signature);\n"
     '         stages.front().kind = "even";\n'
     "         return stages;\n"
     "       }},\n"),
    ("experiment/training_keys.cpp", '      key("seed, ', "",
     '      key("save-often, thrifty", learning, "a new key", at_least(1), &T::checkpoint_every),\n'),
]
# New files: the layer.
FILES = {"nn/even.cpp": """#include "grapes/nn/layer_kind.h"

#include <ATen/ATen.h>

namespace grapes::nn {
namespace {

/// All units have weights of norm 1: z_n = W_n h / |W_n| + b_n.
class EvenLayer final : public Layer {
 public:
  explicit EvenLayer(const Activation* activation) : activation_(activation) {}
  void prepare(const Pass&, std::size_t) override {}
  bool fuses(const at::Tensor&) const override { return false; }

 protected:
  at::Tensor affine(const at::Tensor& h) const override {
    const auto [W, b] = modulated_parameters();
    return at::linear(h, W / W.norm(2, 1, true), b);
  }
  at::Tensor activation(const at::Tensor& z) const override { return activation_ != nullptr ? activation_->apply(z) : z; }

 private:
  const Activation* activation_;
};

}  // namespace

std::unique_ptr<Layer> even_layer(const LayerSetting& setting) {
  auto layer = std::make_unique<EvenLayer>(setting.activation);
  layer->weight = setting.weight;
  layer->bias = setting.bias;
  return layer;
}

}  // namespace grapes::nn
"""}


def add(folder):
    for name, text in FILES.items():
        (folder / "src" / "grapes" / name).write_text(text)
    for name, before, after, text in ADDITIONS:
        file = folder / "src" / "grapes" / name
        content = file.read_text()
        begin = content.index(after)
        place = content.index(before, begin)
        file.write_text(content[:place] + text + content[place:])


def compile_module(module, folder, commands):
    """Compile a module as one unit with the flags of the build, but without optimization, which would take longer."""
    words = shlex.split(next(c for c in commands if f"grapes_{module}.dir/" in c))
    begin = next(i for i, word in enumerate(words) if word.startswith("-"))  # before it: the compiler cache and the compiler
    compiler, flags = words[begin - 1], words[begin : words.index("-o")]
    unit = folder / f"{module}.cpp"
    sources = sorted(p for p in (folder / "src/grapes" / module).glob("*.cpp") if not p.name.endswith("_test.cpp"))
    unit.write_text("".join(f'#include "{source}"\n' for source in sources))
    target = folder / f"{module}.o"
    subprocess.run([compiler, f"-I{folder / 'src'}", *flags, "-O0", "-w", "-c", str(unit), "-o", str(target)], check=True)
    return target


def link(build, folder, objects):
    command = subprocess.run(["ninja", "-t", "commands", "grapes"], cwd=build, check=True, text=True,
                             capture_output=True).stdout.splitlines()[-1]
    words = shlex.split(command.removeprefix(": && ").removesuffix(" && :"))
    linked = []
    for word in words:
        module = re.fullmatch(r"src/grapes/libgrapes_(\w+)\.a", word)
        if module and module[1] in objects:
            word = str(objects[module[1]])
            if word in linked:
                continue
        linked.append(word)
    linked[linked.index("-o") + 1] = str(folder / "grapes")
    subprocess.run(linked, cwd=build, check=True)


def check(grapes, folder):
    def run(*arguments, code=0):
        done = subprocess.run([str(grapes), *arguments], cwd=folder, text=True, capture_output=True)
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    assert "mirrored" in run("list", "modulations")
    assert "half" in run("list", "routes")
    assert "even" in run("list", "layers")
    assert "five" in run("list", "models")
    # An experiment's arms, from a file with the model, the route and the modulation. The key works everywhere.
    (folder / "mine.toml").write_text('data = "digits"\nmodel = "five"\narms = ["bp", "mirrored", "half+mirrored"]\n'
                                      "seeds = 2\nepochs = 1\nsave-often = 3\n")
    run("run", "mine.toml", "--quiet", "--out", "first")
    arms = json.loads((folder / "first" / "compare.json").read_text())["arms"]
    assert arms == ["bp", "mirrored", "half+mirrored"], arms
    assert "save-often" in run("train", "--help")
    assert "save-often = 5" in run("train", "--save-often", "5", "--print-config")
    assert "did you mean '--save-often'" in run("train", "--thrifty", "5", code=2)
    said = run("train", "--model", "five", "--epochs", "1", "--out", "layer")
    assert re.search(r"layers\.0 .*, even\n", said), said
    (folder / "arm.toml").write_text('seeds = 1\nepochs = 1\n[arm.mine]\nsave-often = 2\n')
    run("run", "arm.toml", "--quiet", "--out", "second")
    print("a modulation, a route, a layer, a model, a key and an experiment were added, each by one row or one file")


def main():
    build, source = map(Path, sys.argv[1:3])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for module in MODULES:
            shutil.copytree(source / "src/grapes" / module, folder / "src/grapes" / module)
        add(folder)
        commands = [entry["command"] for entry in json.loads((build / "compile_commands.json").read_text())]
        objects = {module: compile_module(module, folder, commands) for module in MODULES}
        link(build, folder, objects)
        check(folder / "grapes", folder)


if __name__ == "__main__":
    main()
