#include "grapes/continual/method.h"
#include "grapes/credit/modulation.h"
#include "grapes/credit/route.h"
#include "grapes/credit/rule.h"
#include "grapes/data/normalize.h"
#include "grapes/experiment/config.h"
#include "grapes/experiment/key_kinds.h"
#include "grapes/experiment/special_keys.h"
#include "grapes/nn/activation.h"
#include "grapes/nn/init.h"
#include "grapes/nn/loss.h"
#include "grapes/nn/precision.h"

namespace grapes::experiment {
namespace {

Choices outputs() {
  Choices choices = names(nn::activations());
  choices.insert(choices.begin(), {{"auto"}, {"softmax"}});
  return choices;
}

std::vector<Key> make_keys() {
  using D = data::Options;
  using N = nn::Options;
  using R = credit::Rule;
  using Theirs = credit::Compatibility;
  using O = optim::Options;
  using T = train::Options;
  using C = CompareOptions;
  const auto data = &Config::data;
  const auto net = &Config::network;
  using S = nn::SpikingOptions;
  const auto spiking = &N::spiking;
  using A = nn::AnalogOptions;
  const auto analog = &N::analog;
  const auto rule = &N::rule;
  const auto theirs = &N::compatibility;
  const auto opt = &Config::optimizer;
  const auto run = &Config::training;
  using K = continual::Options;
  const auto con = &Config::continual;
  const auto cmp = &Config::compare;
  const auto with_auto = [](Choices choices) {
    choices.insert(choices.begin(), {"auto"});
    return choices;
  };
  const auto with_none = [](Choices choices) {
    choices.insert(choices.begin(), {"none"});
    return choices;
  };
  return {
      text("data", "data", "a named source (grapes list data), or a path of your own", "NAME|FILE.csv|FILE.npy|FOLDER",
           field(data, &D::data)),
      text("data-dir", "data", "where to look first for a named source", "FOLDER", field(data, &D::data_dir)),
      number("validation", "data", "training examples set aside, by seed", part(), field(data, &D::validation)),
      number("test", "data", "the same for data that comes without a test set", part(), field(data, &D::test)),
      number("train-limit", "data", "use only so many training examples; 0: all", at_least(0),
             field(data, &D::train_limit)),
      number("test-limit", "data", "use only the first so many test examples; 0: all", at_least(0),
             field(data, &D::test_limit)),
      choice("order", "data", "order of the training examples in an epoch", {{"shuffle"}, {"file"}},
             field(data, &D::order)),
      number("pad", "data", "pictures in the middle of so many rows and columns, zeros around them; 0: as they are",
             at_least(0), field(data, &D::pad)),
      choice("normalize", "data",
             "unit: 0 to 1; bytes: 0 to 255; zero-mean: -1 to 1; mean 0 and standard deviation 1, standard: per input, "
             "channel: per "
             "channel of images",
             names(data::normalizations()), field(data, &D::normalize)),
      text("augment", "data", "random change of each training image, any part of the example (elastic=strength:width)",
           "rotate=10,shift=0.15,shear=0.15,zoom=0.15,elastic=34:6,crop=4,flip=0.5,cutout=8", field(data, &D::augment)),
      text("label-column", "data", "CSV: target column(s); empty: label, class, target or y, else the last",
           "NAME[,NAME...]", field(data, &D::label_column)),
      choice("targets", "data", "of one's own data; auto: by what they look like", {{"auto"}, {"classes"}, {"numbers"}},
             field(data, &D::targets)),
      number("event-steps", "data", "recordings of events: steps that a recording is cut into", at_least(1),
             field(data, &D::events, &data::EventOptions::steps)),
      choice("event-values", "data", "recordings of events: 1 where there was one, or how many",
             {{"spikes"}, {"counts"}}, field(data, &D::events, &data::EventOptions::values)),
      flag("download", "data", "fetch a named source that is not found", field(data, &D::download)),

      checked("model", "model", "layers of the network, see grapes list models", "NAME:ARGUMENTS, like mlp:256,256",
              field(net, &N::model),
              [](const std::string& value) { find_row(nn::models(), "model", value.substr(0, value.find(':'))); }),
      choice("activation", "model", "of the hidden layers", names(nn::activations()), field(net, &N::activation)),
      choice("output", "model", "of the output layer; auto: softmax for cross-entropy, identity for mse", outputs(),
             field(net, &N::output)),
      flag("bias", "model", "layers have biases", field(net, &N::bias)),
      choice("initializer", "model", "how weights are drawn", names(nn::initializers()), field(net, &N::init)),
      choice("feedback-init", "model", "how feedback weights are drawn; auto: he_uniform where init is, else nokland",
             with_auto(names(nn::initializers())), field(net, &N::feedback_init)),
      choice("norm", "model", "normalization of convolutional layers, by channel; tensor: of all channels as one",
             {{"none"}, {"batch"}, {"tensor"}}, field(net, &N::norm)),
      flag("recompute", "model",
           "convolutional networks: what pieces hold inside is computed again on the way back, to save memory",
           field(net, &N::recompute)),
      number("dropout", "model",
             "probability to drop a hidden node; of convolutional networks, what goes into dense layers",
             from_below(0, 1), field(net, &N::dropout)),
      checked("precision", "model",
              "of weights and arithmetic; bf16: float32, but products in training take bfloat16; or by part, "
              "weights=int8,error=q4.12:stochastic, see docs/hardware.md",
              "float32|float64|bf16|PART=FORMAT,...", field(net, &N::precision),
              [](const std::string& value) { nn::precision_from(value); }),

      checked("analog", "analog",
              "weights lie in crossbars of this device, see grapes list devices; NAME:noise=2,imbalance=0.1 changes "
              "numbers of it",
              "none|NAME[:FIELD=NUMBER,...]", field(net, analog, &A::device),
              [](const std::string& value) {
                if (value != "none") nn::device_from(value);
              }),
      checked("analog-real", "analog",
              "what the arrays do, the rest is exact; write: weights that pulses did not make are written with noise",
              "none|forward,backward,update,write", field(net, analog, &A::real),
              [](const std::string& value) {
                A options;
                options.real = value;
                nn::array_options(options);
              }),
      checked("analog-read", "analog", "converters and noise of a read; empty: 7 and 9 bits, noise 0.1",
              "FIELD=NUMBER,... of dac-bits, adc-bits, input-bound, output-bound, output-noise, noise-management, "
              "bound-management",
              field(net, analog, &A::read), [](const std::string& value) { nn::converter_from(value); }),
      choice("analog-responsibility", "analog",
             "how factors see the weights; summed: one read of both polarities, serial: one of each input; auto: exact "
             "where forward is, else summed where each weight has two pulsed devices, else serial",
             {{"auto"}, {"exact"}, {"summed"}, {"serial"}}, field(net, analog, &A::responsibility)),
      number("analog-pulses", "analog", "bits of a pulse train, 1 to 32", upto(0, 32), field(net, analog, &A::pulses)),
      number("analog-drift", "analog",
             "evaluation reads the arrays so many times later than they were written, t/t0; 1: at once", at_least(1),
             field(net, analog, &A::drift)),
      number("analog-share", "analog", "of the devices' range, that the largest initial weight takes", upto(0, 1),
             field(net, analog, &A::share)),

      choice("neuron", "spiking", "of model snu, see grapes list neurons", names(nn::neurons()),
             field(net, spiking, &S::neuron)),
      flag("recurrent", "spiking", "hidden nodes hear each other's last outputs", field(net, spiking, &S::recurrent)),
      choice("g", "spiking", "of snu and ssnu: what the membrane goes through; leaky_relu has slope 0.1",
             {{"identity"}, {"relu"}, {"leaky_relu"}}, field(net, spiking, &S::g)),
      number("decay", "spiking", "what is left of the membrane after a step", from_below(0, 1),
             field(net, spiking, &S::decay)),
      choice("learn-decay", "spiking", "whether decays learn", {{"fixed"}, {"per-layer"}, {"per-node"}},
             field(net, spiking, &S::learn_decay)),
      number("threshold", "spiking", "of the membrane, at the start", above(0), field(net, spiking, &S::threshold)),
      flag("learn-threshold", "spiking", "thresholds learn, one per node", field(net, spiking, &S::learn_threshold)),
      number("synapse", "spiking", "cuba-lif: what is left of the synaptic current after a step", from_below(0, 1),
             field(net, spiking, &S::synapse)),
      choice("reset", "spiking", "what a spike does to the membrane", names(nn::resets()),
             field(net, spiking, &S::reset)),
      flag("detach-reset", "spiking", "the reset is a constant to the derivative",
           field(net, spiking, &S::detach_reset)),
      choice("surrogate", "spiking", "derivative of the step, see grapes list surrogates", names(nn::surrogates()),
             field(net, spiking, &S::surrogate)),
      number("surrogate-width", "spiking", "unit of the surrogate's argument, in units of the membrane", above(0),
             field(net, spiking, &S::width)),
      number("truncate", "spiking", "backwards through time the state is cut off every so many steps; 0: never",
             at_least(0), field(net, spiking, &S::truncate)),
      flag("compounding", "spiking", "the factor also on what runs back in time between nodes",
           field(net, rule, &R::compounding)),
      choice("products", "spiking", "inputs of 0 and 1 as spikes or as numbers; measured: by their density",
             {{"measured"}, {"dense"}, {"spikes"}}, field(net, spiking, &S::products)),
      choice("encoder", "spiking", "how a picture is shown, see grapes list encoders", names(nn::encoders()),
             field(net, &N::encoding, &nn::Encoding::encoder)),
      number("steps", "spiking", "for so many steps", at_least(1), field(net, &N::encoding, &nn::Encoding::steps)),
      number("peak-rate", "spiking", "bernoulli: probability of a spike in a step, of a pixel of 1", upto(0, 1),
             field(net, &N::encoding, &nn::Encoding::peak_rate)),
      choice("readout", "spiking", "what the output layer says in the end, see grapes list readouts",
             names(nn::readouts()), field(net, spiking, &S::readout)),

      choice("route", "rule", "how the error reaches the hidden nodes", names(credit::routes()),
             field(net, rule, &R::route)),
      modulation_key(),
      choice("responsibility", "rule", "whose weights count; by-route: as the authors' program does on this route",
             {{"by-route"}, {"incoming"}, {"input"}, {"outgoing"}, {"synaptic"}}, field(net, rule, &R::responsibility)),
      number("gain", "rule", "factor of the most responsible node", above(0), field(net, rule, &R::gain)),
      clip_key(),
      number("factors-every", "rule", "batches between computations of the factors", at_least(1),
             field(net, rule, &R::every)),
      factor_bits_key(),

      choice("optimizer", "optimizer", "update rule", names(optim::optimizers()), field(opt, &O::optimizer)),
      number("learning-rate", "optimizer", "base step size", above(0), field(opt, &O::learning_rate)),
      number("momentum", "optimizer", "decay of the velocity (momentum, nag)", from_below(0, 1),
             field(opt, &O::momentum)),
      number("rho", "optimizer", "decay of the squared gradient (rmsprop)", from_below(0, 1), field(opt, &O::rho)),
      number("beta1", "optimizer", "decay of the gradient (adam)", from_below(0, 1), field(opt, &O::beta1)),
      number("beta2", "optimizer", "decay of the squared gradient (adam)", from_below(0, 1), field(opt, &O::beta2)),
      number("epsilon", "optimizer", "added to the root (adam) or inside it (rmsprop)", above(0),
             field(opt, &O::epsilon)),
      number("weight-decay", "optimizer", "pull of every weight to zero, added to its gradient", at_least(0),
             field(opt, &O::weight_decay)),
      checked("schedule", "optimizer", "learning rate over time, see grapes list schedules",
              alternatives(names(optim::schedules())), field(run, &T::schedule),
              [](const std::string& value) { optim::make_schedule(value, 0, 1); }),
      number("warm-up", "optimizer", "epochs over which the learning rate rises from 0", at_least(0),
             field(run, &T::warm_up)),

      number("epochs", "training", "passes over the training examples", at_least(1), field(run, &T::epochs)),
      number("batch", "training", "examples per update", at_least(1), field(run, &T::batch)),
      choice("loss", "training", "auto: cross-entropy for classes, mse for numbers, binary-cross-entropy for bits",
             with_auto(names(nn::losses())), field(run, &T::loss)),
      number("patience", "training",
             "epochs without a better validation score, after which training ends and the best epoch counts; 0: never",
             at_least(0), field(run, &T::patience)),
      number("seed", "training", "root of every random number of the run", at_least(0), field(run, &T::seed)),
      number("checkpoint-every", "training", "epochs between checkpoints; the last epoch always makes one", at_least(1),
             field(run, &T::checkpoint_every)),
      number("evaluate-every", "training", "epochs between evaluations on validation and test examples", at_least(1),
             field(run, &T::evaluate_every)),
      text("label", "training", "name of the run's arm in the record; empty: made from route and modulation", "TEXT",
           field(&Config::arm)),

      choice("scenario", "continual",
             "how tasks are made of the data, see grapes list scenarios; none: there is one task",
             with_none(names(continual::scenarios())), field(con, &K::scenario)),
      number("tasks", "continual", "how many, one after the other; each for `epochs`", at_least(2),
             field(con, &K::tasks)),
      text("manifest", "continual", "scenario.json that says what the tasks are; empty: drawn from each run's seed",
           "FILE.json", field(con, &K::manifest)),
      choice("optimizer-state", "continual", "velocities and moments at a task's beginning", {{"reset"}, {"kept"}},
             field(con, &K::optimizer_state)),
      number("curve-points", "continual", "evaluations in the course of a task, its end among them", at_least(1),
             field(con, &K::curve_points)),
      number("curve-examples", "continual", "of each task so far, test examples they take", at_least(1),
             field(con, &K::curve_examples)),

      choice("method", "method", "what is done against forgetting, see grapes list methods",
             names(continual::methods()), field(con, &K::method)),
      number("ewc-strength", "method", "ewc: of the pull back to earlier weights", at_least(0),
             field(con, &K::ewc_strength)),
      number("fisher-examples", "method", "ewc: of a task, to estimate what matters", at_least(1),
             field(con, &K::fisher_examples)),
      number("si-strength", "method", "si: of the pull back to earlier weights", at_least(0),
             field(con, &K::si_strength)),
      number("si-damping", "method", "si: added to a weight's squared way", above(0), field(con, &K::si_damping)),
      number("lwf-strength", "method", "lwf: of the old answers in the loss", at_least(0),
             field(con, &K::lwf_strength)),
      number("lwf-temperature", "method", "lwf: by which logits are divided", above(0),
             field(con, &K::lwf_temperature)),
      number("replay-buffer", "method", "replay: examples kept", at_least(1), field(con, &K::replay_buffer)),

      arms_key(),
      number("seeds", "compare", "runs per arm, with seeds seed, seed + 1, ...", at_least(1), field(cmp, &C::seeds)),
      flag("tune", "compare", "choose each arm's learning rate from grid, on validation examples",
           field(cmp, &C::tune)),
      grid_key(),
      number("tune-epochs", "compare", "epochs of a tuning run; 0: as many as epochs", at_least(0),
             field(cmp, &C::tune_epochs)),
      number("tune-seeds", "compare", "tuning runs per learning rate, with seeds of their own", at_least(1),
             field(cmp, &C::tune_seeds)),
      text("sweep", "compare", "the comparison at several values of a key: KEY=TEXT with {} for the value",
           "precision=weights=int{}", field(cmp, &C::sweep)),
      sweep_values_key(),
      number("target", "compare", "test score for epochs to target; 0: 98 % of the baseline's final mean", at_least(0),
             field(cmp, &C::target)),

      flag("first-sample-mask", "authors", "factors leave out nodes that the batch's first example drops",
           field(net, theirs, &Theirs::first_sample_mask)),
      flag("single-factor", "authors", "all examples but a batch's first take the last hidden layer's factors",
           field(net, theirs, &Theirs::single_factor)),
      flag("unmasked-first", "authors", "ifa: the first layer's error ignores dropout",
           field(net, theirs, &Theirs::unmasked_first)),
      flag("factors-at-rest", "authors", "nag: factors from the weights at rest, not from those looked ahead to",
           field(run, &T::factors_at_rest)),
      flag("dropout-in-evaluation", "authors", "residual networks: nodes are dropped in evaluation too",
           field(net, theirs, &Theirs::dropout_in_evaluation)),
      flag("carry-remainder", "authors", "an epoch's last, smaller batch joins the next epoch's first update",
           field(run, &T::carry_remainder)),

      device_key(),
      number("threads", "machine", "threads per run", at_least(1), field(&Config::threads)),
      number("jobs", "machine", "runs at the same time; 0: as many as cores allow", at_least(0), field(&Config::jobs)),
  };
}

}  // namespace

const std::vector<Key>& keys() {
  static const std::vector<Key> table = make_keys();
  return table;
}

}  // namespace grapes::experiment
