"""Networks that tests export to ONNX, and the comparison with the program's predictions."""
import numpy as np
from program import ProgramTest

TRAIN = ["--epochs", "1", "--train-limit", "200", "--quiet", "--data", "digits"]
FEW = ["--train-limit", "20", "--test-limit", "4", "--validation-split", "0", "--learning-rate", "0.001"]
NETWORKS = {
    "linear": ["--model", "linear"],
    "mlp": ["--model", "mlp:20,12", "--bias", "--dropout", "0.1"],
    "float64": ["--model", "mlp:20", "--precision", "float64"],
    "cnn": ["--model", "cnn:6,8", "--bias"],
    "cnn-batch": ["--model", "cnn:6,8", "--norm", "batch", "--activation", "leaky_relu"],
    "cnn-tensor": ["--model", "cnn:6", "--norm", "tensor"],
    "lenet5": ["--model", "lenet5", "--pad", "28", "--activation", "scaled_tanh", "--bias"],
    "resnet9": ["--model", "resnet9", "--norm", "batch", *FEW],
    "resnet18-cifar": ["--model", "resnet18-cifar", "--norm", "batch", "--precision", "float64", *FEW],  # float32 rounds too much in 18 layers
    "layers": ["--model", "layers:conv4k5,max2,keep,conv8s2,conv8-linear,skip8s2,add,avg2,drop,16-linear", "--bias"],
    **{activation: ["--model", "mlp:12", "--activation", activation] for activation in
       ("relu", "leaky_relu", "tanh", "sigmoid", "scaled_tanh", "identity")},
}
FORMATS = {  # --precision -> the operators of QONNX, and how often
    "weights=q3.5": {"Quant": 3},
    "weights=int4": {"Quant": 3},
    "weights=int8:channel,activations=q4.4": {"Quant": 6},
    "weights=int4,master=float32,activations=q2.6": {"Quant": 6},
    "weights=int8:stochastic,error=e5m2:tensor": {"Quant": 3},  # evaluation rounds to nearest
    "weights=e4m3,activations=bf16": {"FloatQuant": 6},
    "activations=e5m2": {"FloatQuant": 3},
    "weights=fp16,activations=q4.8": {"FloatQuant": 3, "Quant": 3},
}


class OnnxProgramTest(ProgramTest):
    def predictions(self, checkpoint, x):
        """Return what the program predicts for an array of inputs, in the order of the outputs."""
        np.save(self.folder / "x.npy", x)
        examples = self.good_json("predict", checkpoint, "x.npy", "--top", "1000", "--quiet")["examples"]
        if "value" in examples[0][0]:
            return np.array([[one["value"] for one in answers] for answers in examples])
        return np.array([[one["probability"] for one in sorted(answers, key=lambda one: int(one["class"]))]
                         for answers in examples])

    def assert_same(self, checkpoint, shape, compute):
        """Export, and compare the model with the program on random inputs. compute(file, x) runs the model."""
        x = np.random.default_rng(3).random((7, *shape), np.float32)
        self.good("export", "onnx", checkpoint, "--out", "net.onnx")
        np.testing.assert_allclose(compute(self.folder / "net.onnx", x), self.predictions(checkpoint, x), rtol=1e-5, atol=1e-7)
