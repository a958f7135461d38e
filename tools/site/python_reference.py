"""The Python reference: which parts of torch_grapes the page has, and how mkdocstrings reads their docstrings."""
import griffe

from comments import to_markdown

PARTS = {
    "Existing models": ["enable", "enabled", "disable", "convert", "converted", "revert", "Handle", "LocalOptimizer", "ExponentiatedGradient",
                        "lightning.Grapes", "transformers.GrapesCallback"],
    "Comparisons": ["compare", "Run", "Comparison"],
    "Rules": ["Rule", "Modulation", "Route", "modulations", "routes"],
    "Operations": ["responsibility", "factor", "modulate", "feedback", "feedback_convolution", "mirror"],
    "Layers": ["nn.Linear", "nn.Conv2d", "nn.Snu", "nn.SnuTrace", "nn.DirectFeedback"],
    "Measurements and files": ["alignment", "Alignment", "Record", "safetensors.load_file", "safetensors.save_file"],
}


def page():
    parts = ["# Python reference", "The package `torch_grapes`. [Python](../python.md) shows how to use it."]
    for title, names in PARTS.items():
        parts += [f"## {title}", *(f"::: torch_grapes.{name}" for name in names)]
    return "\n\n".join(parts) + "\n"


class Comments(griffe.Extension):
    """Reads docstrings as this project lays them out, and the comments "#: ..." of attributes."""

    def on_attribute_instance(self, *, attr, **_):
        if attr.docstring is None and attr.lineno is not None:
            line = attr.lines_collection[attr.filepath][attr.lineno - 1]
            above = attr.lines_collection[attr.filepath][attr.lineno - 2]
            said = line.partition("#: ")[2] or above.partition("#: ")[2] * above.lstrip().startswith("#: ")
            if said:
                attr.docstring = griffe.Docstring(said, parent=attr)

    def on_object(self, *, obj, **_):
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)
