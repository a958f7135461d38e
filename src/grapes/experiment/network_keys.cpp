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

Form<R> modulation_form() {
  const OneOf names = row_of(credit::modulations());
  return {join(names.words, "|") + ", and constant:NUMBER > 0[,NUMBER > 0...]", Key::Kind::text,
          [](const R& value) {
            return value.modulation + (value.constants.empty() ? "" : ":" + numbers_text(value.constants));
          },
          [=](std::string_view text, R& value) {
            const std::size_t colon = text.find(':');
            const bool constants = colon != std::string_view::npos;
            const auto& row = find_row(credit::modulations(), "modulation", text.substr(0, colon));
            std::vector<double> read;
            if ((row.name == "constant") != constants) return false;
            if (constants && !read_numbers(text.substr(colon + 1), above(0), read)) return false;
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
      key("data, dataset, data-set", examples, "name of a data set (grapes list data), or a path to your own",
          text("NAME|TABLE.csv|FILE.npy|FILE.npz|FILE.mat|FOLDER"), &D::data),
      key("data-dir", machine, "folder that is searched first for a named data set", text("FOLDER"), &D::data_dir),
      key("validation-split, validation, val-split, validation-fraction, val-size", examples,
          "training examples set aside for validation, chosen by seed", part_or_count(), &D::validation_split),
      key("test-split, test, test-size", examples, "examples set aside for testing, for data without a test set",
          part_or_count(), &D::test_split),
      key("train-limit, max-train-samples", examples, "largest number of training examples; 0: all", at_least(0),
          &D::train_limit),
      key("test-limit, max-test-samples", examples, "use only this many test examples, the first ones; 0: all",
          at_least(0), &D::test_limit),
      key("order", examples, "order of the training examples in an epoch", one_of({"shuffle", "file"}), &D::order),
      key("pad, padding", examples, "pad images with zeros to this many rows and columns; 0: do not pad", at_least(0),
          &D::pad),
      key("resize, image-size, img-size", examples,
          "folders of pictures: scale to this size; with crop: keep the shape and cover this size",
          parsed("none|SIDE|ROWSxCOLUMNS", data::parse_picture_size), &P::resize),
      key("crop", examples,
          "folders of pictures: use this part; random: drawn for each training example, the center of others",
          parsed("none|center|random|center:SIDE|random:SIDE", data::parse_crop), &P::crop),
      key("gray, grayscale, grey", examples, "folders of pictures: convert color to gray", yes_or_no, &P::gray),
      key("skip-damaged", examples, "folders of pictures: leave out files that cannot be decoded", yes_or_no,
          &P::skip_damaged),
      key("normalize, normalization, normalise, standardize, scale", examples,
          "auto: images to 0..1, tables to mean 0 and standard deviation 1, named data sets as they are; unit: bytes "
          "to "
          "0..1; pixels: numbers of 0..255 to 0..1; bytes: to 0..255; zero-mean: to -1..1; standard, channel: to mean "
          "0 "
          "and standard deviation 1, per input or per image channel",
          row_of(data::normalizations(), {"auto"}), &D::normalize),
      key("augment, augmentation, transform", examples,
          "random changes of training images, any part of the example (elastic=strength:width)", augmentation_form(),
          &D::augment),
      key("target, label-column, target-column", examples,
          "tables: columns of the targets; empty: label, class, target or y, else the last", text("NAME|NUMBER,..."),
          &data::TableOptions::target),
      key("ignore, drop-columns, exclude", examples, "tables: columns that are no inputs",
          text("NAME|NUMBER|FROM-TO,..."), &data::TableOptions::ignore),
      key("columns, features, use-columns, usecols", examples, "tables: the columns of the inputs; empty: all others",
          text("NAME|NUMBER|FROM-TO,..."), &data::TableOptions::columns),
      key("missing, na, impute, nan", examples,
          "tables: missing values are an error, drop their rows, or are filled by a statistic of the training examples",
          one_of({"error", "drop", "mean", "median", "most-common"}), &data::TableOptions::missing),
      key("delimiter, separator, sep", examples, "tables: what separates columns; auto: found",
          text("auto|comma|semicolon|tab|space|pipe|CHARACTER"), &data::DialectOptions::delimiter),
      key("header", examples, "tables: whether the first line has the names of the columns; auto: found",
          one_of({"auto", "yes", "no"}), &data::DialectOptions::header),
      key("decimal", examples, "tables: decimal sign of numbers; auto: found", one_of({"auto", "point", "comma"}),
          &data::DialectOptions::decimal),
      key("encoding, charset", examples, "tables: encoding of the text; auto: found",
          text("auto|utf-8|utf-16|latin1|..."), &data::TableOptions::encoding),
      key("targets", examples, "what your own data's targets are; auto: decided by their values",
          one_of({"auto", "classes", "numbers"}), &D::targets),
      key("event-steps", examples, "event recordings: time steps that a recording is divided into", at_least(1),
          &data::EventOptions::steps),
      key("event-values", examples, "event recordings: 1 where there was an event, or the number of events",
          one_of({"spikes", "counts"}), &data::EventOptions::values),
      key("event-bins", examples, "event recordings: steps of the same duration, or of the same number of events",
          one_of({"time", "count"}), &data::EventOptions::bins),
      key("event-pool", examples, "event recordings: this many pixels (or channels) in each direction become one",
          at_least(1), &data::EventOptions::pool),
      key("event-polarity", examples, "event recordings: brighter and darker as two channels or as one",
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
      key("bias, biases, use-bias", start, "layers have biases", yes_or_no, &N::bias),
      key("initializer, init, initialization, initialiser, weight-init", start, "distribution of the initial weights",
          row_of(nn::initializers()), &N::init),
      key("feedback-initializer, feedback-init", learning,
          "distribution of the feedback weights; auto: he_uniform where initializer is he_uniform, else nokland",
          row_of(nn::initializers(), {"auto"}), &N::feedback_init),
      key("norm, batch-norm, batchnorm", start,
          "normalization in convolutional layers: per channel (batch), of all channels as one (tensor), or per channel "
          "with "
          "a scale that starts at the threshold of spiking neurons (threshold)",
          one_of({"none", "batch", "tensor", "threshold"}), &N::norm),
      key("recompute, checkpointing, gradient-checkpointing", learning,
          "convolutional networks: store only each block's input and recompute the rest in the backward pass, to save "
          "memory",
          yes_or_no, &N::recompute),
      key("dropout, dropout-rate, p-drop, drop", learning,
          "probability to drop a hidden unit; convolutional networks: an input of a dense layer", from_below(0, 1),
          &N::dropout),
      key("precision, dtype", learning,
          "of weights and arithmetic; bf16: float32 with bfloat16 products in training; or by part, like "
          "weights=int8,error=q4.12:stochastic, see docs/hardware/formats.md",
          parsed("float32|float64|bf16|PART=FORMAT,...", nn::parse_precision), &N::precision),
  };
}

std::vector<Key> analog_group() {
  return {
      key("analog, crossbar", learning,
          "weights are stored in crossbars of this device, see grapes list devices; NAME:noise=2,imbalance=0.1 changes "
          "its parameters",
          parsed("none|NAME[:FIELD=NUMBER,...]", analog::parse_device), &A::device),
      key("analog-real", learning,
          "operations that the devices compute; the others are exact; write: noise on weights that are written rather "
          "than pulsed",
          parsed("none|forward,backward,update,write", analog::parse_operations), &A::real),
      key("analog-read", learning, "converters and noise of a read; empty: 7 and 9 bits, noise 0.1",
          parsed("FIELD=NUMBER,... of dac-bits, adc-bits, input-bound, output-bound, output-noise, noise-management, "
                 "bound-management",
                 analog::parse_converter),
          &A::read),
      key("analog-responsibility", learning,
          "how factors read the weights; summed: one read of both polarities; serial: one read per input; auto: exact "
          "where forward is exact, else summed where each weight has two pulsed devices, else serial",
          one_of(analog::sensing_names()), &A::responsibility),
      key("analog-pulses", learning, "length of a pulse train in bits, 1 to 32", upto(0, 32), &A::pulses),
      key("analog-drift", learning, "time from writing to evaluation as a multiple t/t0; 1: no drift", at_least(1),
          &A::drift),
      key("analog-share", learning, "largest initial weight, as a fraction of the devices' range", upto(0, 1),
          &A::share),
  };
}

std::vector<Key> spiking_group() {
  return {
      key("neuron", learning, "neuron of the model snn, see grapes list neurons", row_of(nn::neurons()), &S::neuron),
      key("recurrent", start, "add recurrent connections between hidden units", yes_or_no, &S::recurrent),
      key("membrane-activation, g", learning, "snu and ssnu: g, applied to the membrane; leaky_relu has slope 0.1",
          one_of({"identity", "relu", "leaky_relu"}), &S::membrane_activation),
      key("membrane-decay, decay, leak, beta", learning,
          "fraction of the membrane potential that remains after a time step", from_below(0, 1), &S::decay),
      key("learn-decay", learning, "whether membrane-decay is learned", one_of({"fixed", "per-layer", "per-node"}),
          &S::learn_decay),
      key("threshold, theta, v-threshold", learning, "initial threshold of the membrane", above(0), &S::threshold),
      key("learn-threshold", learning, "thresholds are learned, one per unit", yes_or_no, &S::learn_threshold),
      key("synaptic-decay, synapse", learning,
          "cuba-lif: fraction of the synaptic current that remains after a time step", from_below(0, 1), &S::synapse),
      key("learn-synapse", learning,
          "cuba-lif: the synaptic decay is learned, one per layer or unit as learn-decay says", yes_or_no,
          &S::learn_synapse),
      key("reset-value", learning, "reset hard: the membrane after a spike", any_number(), &S::reset_value),
      key("refractory", learning, "number of time steps after a spike in which a neuron ignores its input", at_least(0),
          &S::refractory),
      key("adaptation", learning, "alif: what a spike adds to the threshold", at_least(0), &S::adaptation),
      key("adaptation-decay", learning, "alif: fraction of the adaptation that remains after a time step",
          from_below(0, 1), &S::adaptation_decay),
      key("own-constants", start,
          "every neuron has its own decays, threshold and reset value, which checkpoints store; import nir sets it",
          yes_or_no, &S::own_constants),
      key("reset", learning, "what a spike does to the membrane", row_of(nn::resets()), &S::reset),
      key("detach-reset", learning, "no gradient flows through the reset", yes_or_no, &S::detach_reset),
      key("surrogate, surrogate-gradient", learning, "surrogate derivative of the spike, see grapes list surrogates",
          row_of(nn::surrogates()), &S::surrogate),
      key("surrogate-width", learning, "width of the surrogate, in units of the membrane", above(0),
          &S::surrogate_width),
      key("tbptt-steps, tbptt, bptt, truncate, truncation", learning,
          "truncate backpropagation through time after this many steps; 0: never", at_least(0), &S::truncate),
      key("compounding", learning, "factors also scale the error that flows back in time through recurrent weights",
          yes_or_no, &R::compounding),
      key("spike-kernel", learning, "matrix product for inputs of 0 and 1; measured: chosen by their density",
          one_of({"measured", "dense", "spikes"}), &S::products),
      key("encoder", start, "how an image is turned into spikes, see grapes list encoders", row_of(nn::encoders()),
          &nn::Encoding::encoder),
      key("time-steps, steps, timesteps, num-steps", start, "number of time steps that an image is shown for",
          at_least(1), &nn::Encoding::steps),
      key("peak-rate", start, "bernoulli: probability of a spike per time step for a pixel of 1", upto(0, 1),
          &nn::Encoding::peak_rate),
      key("readout", learning, "how the output layer's time steps become one prediction, see grapes list readouts",
          row_of(nn::readouts()), &S::readout),
  };
}

std::vector<Key> rule_group() {
  return {
      key("route, feedback", rule, "how the error reaches the hidden units", row_of(credit::routes()), &R::route),
      key("modulation, rule", rule, "how the error is scaled at the hidden units; constant:C1,C2,... gives the factors",
          modulation_form(), &N::rule),
      key("responsibility", learning, "which weights make a unit responsible; by-route: as in the authors' program",
          one_of({"by-route", "incoming", "input", "outgoing", "synaptic"}), &R::responsibility),
      key("gain", learning, "factor of the most responsible unit", above(0), &R::gain),
      key("clip", learning, "range that factors are clipped to; by-route: as in the authors' program", clip_form(),
          &R::clip),
      key("factors-every", learning, "batches between computations of the factors", at_least(1), &R::every),
      key("factor-bits", learning,
          "fraction bits of the factor; 2 allows 1, 1.25, ... 2; 0 allows 1 and 2; exact: not quantized",
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
