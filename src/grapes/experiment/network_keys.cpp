#include "grapes/base/table.h"
#include "grapes/credit/modulation.h"
#include "grapes/credit/route.h"
#include "grapes/experiment/form.h"
#include "grapes/nn/activation.h"
#include "grapes/nn/init.h"
#include "grapes/nn/precision.h"
#include "grapes/nn/readout.h"
#include "grapes/nn/surrogate.h"

#include <optional>

namespace grapes::experiment {
namespace {

using namespace scope;
using D = data::Options;
using P = data::PictureOptions;
using N = nn::Options;
using S = nn::SpikingOptions;
using A = nn::AnalogOptions;
using R = credit::Rule;
using credit::Clip;

/// "grapes", or "constant:NUMBER > 0[,NUMBER > 0...]"
std::string form_of(const credit::Modulation& row) {
  using Numbers = credit::Modulation::Numbers;
  const std::string number = row.numbers == Numbers::positive ? "NUMBER > 0" : "NUMBER";
  return row.name + (row.numbers == Numbers::none ? "" : ":" + number + "[," + number + "...]");
}

Form<R> modulation_form() {
  std::vector<std::string> takes;
  for (const auto& row : credit::modulations()) takes.push_back(form_of(row));
  return {join(takes, "|"), Key::Kind::text,
          [](const R& value) {
            return value.modulation + (value.constants.empty() ? "" : ":" + numbers_text(value.constants));
          },
          [](std::string_view text, R& value) {
            const std::size_t colon = text.find(':');
            const bool numbers = colon != std::string_view::npos;
            const auto& row = find_row(credit::modulations(), "modulation", text.substr(0, colon));
            std::vector<double> read;
            if (numbers && (row.numbers == credit::Modulation::Numbers::none ||
                            !read_numbers(text.substr(colon + 1), any_number(), read)))
              throw UsageError("expected " + form_of(row));
            if (const std::string fault = credit::fault_of(row, read); !fault.empty())
              throw UsageError(fault + "; expected " + form_of(row));
            value.modulation = row.name;
            value.constants = read;
            return true;
          }};
}

Form<Clip> clip_form() {
  using Kind = Clip::Kind;
  return {
      "by-route|none|LOW,HIGH", Key::Kind::text,
      [](const Clip& clip) {
        if (clip.kind == Kind::range) return numbers_text({clip.low, clip.high});
        return std::string(clip.kind == Kind::none ? "none" : "by-route");
      },
      [](std::string_view text, Clip& clip) {
        std::vector<double> range = {clip.low, clip.high};
        const bool word = text == "by-route" || text == "none";
        if (!word && (!read_numbers(text, at_least(0), range) || range.size() != 2 || range[0] > range[1]))
          return false;
        clip = {text == "by-route" ? Kind::by_route : text == "none" ? Kind::none : Kind::range, range[0], range[1]};
        return true;
      }};
}

Form<int> factor_bits_form() {
  return {"exact|WHOLE NUMBER >= 0, <= 16", Key::Kind::text,
          [](const int& bits) { return bits < 0 ? std::string("exact") : std::to_string(bits); },
          [](std::string_view text, int& bits) {
            const auto read = text == "exact" ? std::optional<long long>(-1) : to_integer(text);
            if (!read || *read > 16 || (*read < 0 && text != "exact")) return false;
            bits = static_cast<int>(*read);
            return true;
          }};
}

Form<data::Augmentation> augmentation_form() {
  return {"rotate=10,shift=0.15,shear=0.15,zoom=0.15,elastic=34:6,crop=4,flip=0.5,cutout=8", Key::Kind::text,
          data::to_text, [](std::string_view text, data::Augmentation& value) {
            value = data::parse_augmentation(std::string(text));
            return true;
          }};
}

std::vector<Key> data_group() {
  return {
      key("data, dataset, data-set", examples, "name of a data set (grapes list data), or the path of your own data",
          text("NAME|TABLE.csv|FILE.npy|FILE.npz|FILE.mat|IDX|FOLDER"), &D::data),
      key("data-dir", machine, "folder that is searched first for named data sets", text("FOLDER"), &D::data_dir),
      key("validation-split, validation, val-split, validation-fraction, val-size", examples,
          "training examples set aside for validation, as a fraction or a number; the seed chooses them at random",
          part_or_count(), &D::validation_split),
      key("test-split, test, test-size", examples,
          "examples set aside for testing, as a fraction or a number, if the data have no test set", part_or_count(),
          &D::test_split),
      key("train-limit, max-train-samples", examples, "use at most this many training examples; 0: all", at_least(0),
          &D::train_limit),
      key("test-limit, max-test-samples", examples, "use only this many test examples, from the first on; 0: all",
          at_least(0), &D::test_limit),
      key("order", examples, "order of the training examples in an epoch", one_of({"shuffle", "file"}), &D::order),
      key("pad, padding", examples, "pad images with zeros to this many rows and columns; 0: do not pad", at_least(0),
          &D::pad),
      key("resize, image-size, img-size", examples,
          "folders of pictures: scale to this size; with crop: scale without distortion until this size is covered",
          parsed("none|SIDE|ROWSxCOLUMNS", data::parse_picture_size), &P::resize),
      key("crop", examples,
          "folders of pictures: cut out this part; random: a random part of each training example; other examples "
          "use the center",
          parsed("none|center|random|center:SIDE|random:SIDE", data::parse_crop), &P::crop),
      key("gray, grayscale", examples, "folders of pictures: convert color to gray", yes_or_no, &P::gray),
      key("skip-damaged", examples, "folders of pictures: leave out files that cannot be decoded", yes_or_no,
          &P::skip_damaged),
      key("normalize, normalization, standardize, scale", examples,
          "how inputs are scaled; auto: images to 0..1, numbers to mean 0 and standard deviation 1, named data sets "
          "unchanged except tables, details in docs/data.md; unit: bytes to 0..1, numbers unchanged; pixels: numbers "
          "from 0 to 255 "
          "to 0..1; bytes: bytes to 0..255; zero-mean: to -1..1; standard, channel: to mean 0 and standard deviation "
          "1, per input or per image channel",
          row_of(data::normalizations(), {"auto"}), &D::normalize),
      key("mean, pixel-mean, image-mean", examples,
          "images: subtract these numbers, one for all channels or one each, from pixels of 0..1; replaces normalize",
          numbers_or_none(any_number()), &D::mean),
      key("std, pixel-std, image-std, deviation", examples, "images: divide by these numbers after subtracting mean",
          numbers_or_none(above(0)), &D::deviation),
      key("augment, augmentation, transform", examples,
          "random changes to training images: one or more of the changes shown, separated by commas "
          "(elastic=strength:width)",
          augmentation_form(), &D::augment),
      key("target, label-column, target-column", examples,
          "tables: columns of the targets; empty: the column label, class, target or y, else the last one",
          text("NAME|NUMBER,..."), &data::TableOptions::target),
      key("ignore, drop-columns, exclude", examples, "tables: columns that are not used as inputs",
          text("NAME|NUMBER|FROM-TO,..."), &data::TableOptions::ignore),
      key("columns, features, use-columns, usecols", examples,
          "tables: columns that are used as inputs; empty: all others", text("NAME|NUMBER|FROM-TO,..."),
          &data::TableOptions::columns),
      key("missing, na, impute, nan", examples,
          "tables: what happens with missing values; error: stop; drop: leave out the row; others: fill in this "
          "statistic of the training examples",
          one_of({"error", "drop", "mean", "median", "most-common"}), &data::TableOptions::missing),
      key("delimiter, separator, sep", examples, "tables: character between columns; auto: detected",
          text("auto|comma|semicolon|tab|space|pipe|CHARACTER"), &data::DialectOptions::delimiter),
      key("header", examples, "tables: whether the first line has the names of the columns; auto: detected",
          one_of({"auto", "yes", "no"}), &data::DialectOptions::header),
      key("decimal", examples, "tables: decimal sign of numbers; auto: detected", one_of({"auto", "point", "comma"}),
          &data::DialectOptions::decimal),
      key("encoding, charset", examples, "tables: encoding of the text; auto: detected",
          text("auto|utf-8|utf-16|latin1|..."), &data::TableOptions::encoding),
      key("targets", examples, "what the targets of your own data are; auto: decided by their values",
          one_of({"auto", "classes", "numbers"}), &D::targets),
      key("event-steps", examples, "event recordings: number of time steps into which a recording is divided",
          at_least(1), &data::EventOptions::steps),
      key("event-values", examples, "event recordings: an input is 1 if there was an event, or the number of events",
          one_of({"spikes", "counts"}), &data::EventOptions::values),
      key("event-bins", examples, "event recordings: time steps have the same duration, or the same number of events",
          one_of({"time", "count"}), &data::EventOptions::bins),
      key("event-pool", examples, "event recordings: combine this many pixels in each direction, or channels, into one",
          at_least(1), &data::EventOptions::pool),
      key("event-polarity", examples, "event recordings: brighter and darker pixels have two channels or share one",
          one_of({"separate", "merged"}), &data::EventOptions::polarity),
      key("download", machine, "download a named data set that is not found", yes_or_no, &D::download),
  };
}

std::vector<Key> model_group() {
  return {
      key("model, network, net, architecture, arch, layers, hidden", start,
          "the network's layers, see grapes list models", parsed("NAME:ARGUMENTS, like mlp:256,256", nn::parse_model),
          &N::model),
      key("activation, nonlinearity, act", learning, "activation of the hidden layers", row_of(nn::activations()),
          &N::activation),
      key("output, output-activation", learning,
          "activation of the output layer; auto: softmax for cross-entropy, identity for mse",
          row_of(nn::activations(), {"auto", "softmax"}), &N::output),
      key("bias, biases, use-bias", start, "give all layers biases", yes_or_no, &N::bias),
      key("initializer, init, initialization, weight-init", start, "distribution of the initial weights",
          row_of(nn::initializers()), &N::init),
      key("log-sigma", start, "initializer lognormal: standard deviation of the logarithm of the absolute weights",
          above(0), &N::log_sigma),
      key("unit-scales", start,
          "multiply the incoming weights of each hidden unit by a random c and divide its outgoing weights by it, with "
          "this standard deviation of log c; the network computes the same, but its units are unlike",
          at_least(0), &N::unit_scales),
      key("fan-in", start,
          "number of inputs of each unit of a hidden dense layer, whose other weights stay 0; random: on average; "
          "hubs: "
          "of most units, of a hub, and the share of hubs; initial weights are drawn for a unit's own number",
          parsed("all|COUNT|random:COUNT|hubs:COUNT,COUNT,SHARE", nn::parse_fan_in), &N::fan_in),
      key("initial-weights, pretrained, weights", start,
          "start from the weights in this checkpoint; {seed} stands for the seed of the run; empty: they are drawn",
          text("FILE.safetensors"), &Config::initial_weights),
      key("grow", start,
          "the network of initial-weights has fewer hidden layers: they become the first ones, and the other hidden "
          "layers are inserted before the output layer",
          yes_or_no, &Config::grow),
      key("prune, density", start,
          "before training, keep this fraction of the weights of each layer, those of the largest magnitude; the "
          "others "
          "stay 0; 1: all",
          upto(0, 1), &N::prune),
      key("feedback-initializer, feedback-init", learning,
          "distribution of the feedback weights; auto: he_uniform if initializer is he_uniform, else nokland",
          row_of(nn::initializers(), {"auto"}), &N::feedback_init),
      key("feedback-kernels", learning,
          "route dfa in convolutional networks: every position of a convolution's output sends the same error down "
          "through a random kernel, as in BioTorch; otherwise each value below has feedback weights of its own",
          yes_or_no, &N::feedback_kernels),
      key("norm, batch-norm, batchnorm", start,
          "normalization in convolutional layers; batch: per channel; tensor: all channels as one; threshold: per "
          "channel, with the threshold of the spiking neurons as initial scale",
          one_of({"none", "batch", "tensor", "threshold"}), &N::norm),
      key("recompute, checkpointing, gradient-checkpointing", learning,
          "convolutional networks: store only each block's input and recompute the rest in the backward pass, to save "
          "memory",
          yes_or_no, &N::recompute),
      key("dropout, dropout-rate, p-drop, drop", learning,
          "probability that a hidden unit is dropped; convolutional networks: that an input of a dense layer is "
          "dropped",
          from_below(0, 1), &N::dropout),
      key("precision, dtype", learning,
          "number format of weights and arithmetic; bf16: float32 with matrix products in bfloat16 in training; or a "
          "format for each part, like weights=int8,error=q4.12:stochastic, see docs/hardware/formats.md",
          parsed("float32|float64|bf16|PART=FORMAT,...", nn::parse_precision), &N::precision),
  };
}

std::vector<Key> analog_group() {
  return {
      key("analog, crossbar", learning,
          "store weights in crossbars of this analog device, see grapes list devices; NAME:noise=2,imbalance=0.1 "
          "changes its parameters",
          parsed("none|NAME[:FIELD=NUMBER,...]", analog::parse_device), &A::device),
      key("analog-real", learning,
          "operations that the analog devices compute; the others are exact; write: add noise to weights that are set "
          "without pulses",
          parsed("none|forward,backward,update,write", analog::parse_operations), &A::real),
      key("analog-read", learning, "converters and noise when an array is read; empty: 7 and 9 bits, noise 0.1",
          parsed("FIELD=NUMBER,... of dac-bits, adc-bits, input-bound, output-bound, output-noise, noise-management, "
                 "bound-management",
                 analog::parse_converter),
          &A::read),
      key("analog-responsibility", learning,
          "how the weights are read to compute factors; summed: one read of both polarities; serial: one read per "
          "input; auto: exact if forward is exact, else summed if each weight has two pulsed devices, else serial",
          one_of(analog::sensing_names()), &A::responsibility),
      key("analog-pulses", learning, "length of a pulse train in bits, 1 to 32", upto(0, 32), &A::pulses),
      key("analog-drift", learning,
          "time from writing to evaluation, as a multiple of the device's reference time; 1: no drift", at_least(1),
          &A::drift),
      key("analog-share", learning, "largest initial weight, as a fraction of the devices' range", upto(0, 1),
          &A::share),
  };
}

std::vector<Key> spiking_group() {
  return {
      key("neuron", learning, "type of the spiking neurons, see grapes list neurons", row_of(nn::neurons()),
          &S::neuron),
      key("recurrent", start, "add recurrent connections between hidden units", yes_or_no, &S::recurrent),
      key("membrane-activation, g", learning,
          "snu and ssnu: activation g of the membrane potential; leaky_relu has slope 0.1",
          one_of({"identity", "relu", "leaky_relu"}), &S::membrane_activation),
      key("membrane-decay, decay, leak, beta", learning,
          "fraction of the membrane potential that remains after a time step", from_below(0, 1), &S::decay),
      key("learn-decay", learning, "whether membrane-decay is learned, with one value per layer or per unit",
          one_of({"fixed", "per-layer", "per-node"}), &S::learn_decay),
      key("threshold, theta, v-threshold", learning, "membrane potential at which a neuron spikes, before training",
          above(0), &S::threshold),
      key("learn-threshold", learning, "learn the thresholds, one per unit", yes_or_no, &S::learn_threshold),
      key("synaptic-decay, synapse", learning,
          "cuba-lif: fraction of the synaptic current that remains after a time step", from_below(0, 1), &S::synapse),
      key("learn-synapse", learning,
          "cuba-lif: learn the synaptic decay, with one value per layer or unit as in learn-decay", yes_or_no,
          &S::learn_synapse),
      key("reset-value", learning, "membrane potential after a hard reset", any_number(), &S::reset_value),
      key("refractory", learning, "number of time steps after a spike in which a neuron ignores its input", at_least(0),
          &S::refractory),
      key("adaptation", learning, "alif: how much each spike raises the threshold", at_least(0), &S::adaptation),
      key("adaptation-decay", learning, "alif: fraction of the adaptation that remains after a time step",
          from_below(0, 1), &S::adaptation_decay),
      key("own-constants", start,
          "give every neuron its own decays, threshold and reset value, stored in the checkpoint; grapes import nir "
          "sets this",
          yes_or_no, &S::own_constants),
      key("reset", learning, "what a spike does to the membrane", row_of(nn::resets()), &S::reset),
      key("detach-reset", learning, "let no gradient flow through the reset", yes_or_no, &S::detach_reset),
      key("surrogate, surrogate-gradient", learning,
          "function that replaces the derivative of a spike, see grapes list surrogates", row_of(nn::surrogates()),
          &S::surrogate),
      key("surrogate-width", learning, "width of the surrogate, in units of the membrane potential", above(0),
          &S::surrogate_width),
      key("tbptt-steps, tbptt, bptt, truncate, truncation", learning,
          "cut backpropagation through time after this many time steps; 0: never", at_least(0), &S::truncate),
      key("compounding", learning, "let factors also scale the error that flows back in time through recurrent weights",
          yes_or_no, &R::compounding),
      key("spike-kernel", learning,
          "how to multiply by inputs of 0 and 1; dense: as numbers; spikes: by adding rows; measured: chosen by the "
          "fraction of ones",
          one_of({"measured", "dense", "spikes"}), &S::products),
      key("encoder", start, "how an image is turned into spikes, see grapes list encoders", row_of(nn::encoders()),
          &nn::Encoding::encoder),
      key("time-steps, steps, timesteps, num-steps", start, "number of time steps for which an image is shown",
          at_least(1), &nn::Encoding::steps),
      key("peak-rate", start, "bernoulli: probability of a spike per time step for a pixel of 1", upto(0, 1),
          &nn::Encoding::peak_rate),
      key("encoder-draws", start,
          "bernoulli: draw the spikes of a training image every time it is shown, or once for the whole run",
          one_of({"every-time", "once"}), &nn::Encoding::draws),
      key("readout", learning, "how the output layer's time steps become one prediction, see grapes list readouts",
          row_of(nn::readouts()), &S::readout),
  };
}

std::vector<Key> rule_group() {
  return {
      key("route, feedback", rule, "how the error reaches the hidden units", row_of(credit::routes()), &R::route),
      key("modulation, rule", rule,
          "how the error is scaled at the hidden units; constant:C1,C2,... gives the factors, power:P1,P2,... the "
          "exponents",
          modulation_form(), &N::rule),
      key("responsibility", learning,
          "which weights the responsibility of a unit sums; by-route: those of the authors' program",
          one_of({"by-route", "incoming", "input", "outgoing", "synaptic"}), &R::responsibility),
      key("reduction", learning,
          "whether a responsibility is the sum or the mean of these weights; a weight that is exactly 0 does not exist "
          "for the mean, so that it does not depend on the number of a unit's weights",
          one_of({"sum", "mean"}), &R::reduction),
      key("gain", learning, "factor of the unit with the largest responsibility", above(0), &R::gain),
      key("clip", learning, "range to which factors are clipped; by-route: that of the authors' program", clip_form(),
          &R::clip),
      key("factors-every", learning, "compute the factors once in this many batches", at_least(1), &R::every),
      key("factor-bits", learning,
          "round factors to this many fraction bits; 2: factors are 1, 1.25, ... 2; 0: they are 1 or 2; exact: not "
          "rounded",
          factor_bits_form(), &R::factor_bits),
  };
}

}  // namespace

std::vector<Key> network_keys() {
  return table_of({{"data", data_group()},
                   {"model", model_group()},
                   {"analog", analog_group()},
                   {"spiking", spiking_group()},
                   {"rule", rule_group()}});
}

}  // namespace grapes::experiment
