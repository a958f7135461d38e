#include "grapes/continual/method.h"
#include "grapes/continual/scenario.h"
#include "grapes/experiment/arms.h"
#include "grapes/experiment/form.h"
#include "grapes/experiment/grid.h"
#include "grapes/nn/loss.h"

#include <algorithm>

namespace grapes::experiment {
namespace {

using namespace scope;
using N = nn::Options;
using Theirs = credit::Compatibility;
using O = optim::Options;
using T = train::Options;
using L = continual::Options;
using C = CompareOptions;

Form<std::string> device_form() {
  return {"cpu|cuda|cuda:NUMBER", Key::Kind::text, [](const std::string& device) { return device; },
          [](std::string_view text, std::string& device) {
            const bool numbered = text.starts_with("cuda:") && to_integer(text.substr(5)).value_or(-1) >= 0;
            if (text != "cpu" && text != "cuda" && !numbered) return false;
            device = text;
            return true;
          }};
}

Form<std::vector<std::string>> arms_form() {
  return {"ARM,ARM,...", Key::Kind::texts, [](const std::vector<std::string>& arms) { return join(arms, ","); },
          [](std::string_view text, std::vector<std::string>& arms) {
            std::vector<std::string> read = split_arms(text);
            if (std::find(read.begin(), read.end(), "") != read.end()) return false;
            arms = std::move(read);
            return true;
          }};
}

Form<std::vector<double>> grid_form() {
  return {"NUMBER > 0,..., or LOW..HIGH:FACTOR, like 0.01..0.64:sqrt2", Key::Kind::numbers, numbers_text, read_grid};
}

Form<Sweep> sweep_form() {
  return {
      "KEY=TEXT with {} for the value, like factor-bits={}", Key::Kind::text,
      [](const Sweep& sweep) { return sweep ? sweep.key + "=" + sweep.text : ""; },
      [](std::string_view text, Sweep& sweep) {
        const std::size_t equals = text.find('=');
        if (!text.empty() && (equals == std::string_view::npos || text.find("{}", equals) == std::string_view::npos))
          return false;
        Sweep read;
        if (!text.empty()) read = {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
        if (read && !find_key(read.key).scope.sweep)
          throw UsageError(read.key +
                           " cannot be swept, because all runs of a comparison share it or the arms' names set it");
        sweep = std::move(read);
        return true;
      }};
}

std::vector<Key> optimizer_group() {
  return {
      key("optimizer, optim, opt, solver", learning, "update rule", row_of(optim::optimizers()), &O::optimizer),
      key("learning-rate, rate, step-size, eta", learning, "base learning rate", above(0), &O::learning_rate)
          .abbreviated("lr"),
      key("momentum", learning, "decay of the velocity (momentum, nag, lars)", from_below(0, 1), &O::momentum),
      key("rho", learning, "decay of the mean squared gradient (rmsprop)", from_below(0, 1), &O::rho),
      key("beta1, betas", learning, "decay of the mean gradient (adam, lamb)", from_below(0, 1), &O::beta1),
      key("beta2", learning, "decay of the mean squared gradient (adam, lamb, nero)", from_below(0, 1), &O::beta2),
      key("epsilon, eps", learning,
          "small number in the denominator, added to the root (adam, lamb) or under it (rmsprop)", above(0),
          &O::epsilon),
      key("weight-decay, wd, l2", learning, "add this number times the weight to the gradient of each weight",
          at_least(0), &O::weight_decay),
      key("schedule, scheduler, lr-schedule, lr-scheduler", learning,
          "how the learning rate changes over time, see grapes list schedules",
          parsed(join(row_of(optim::schedules()).words, "|"), optim::parse_schedule), &T::schedule),
      key("warm-up, warmup, warmup-epochs", learning, "epochs over which the learning rate rises from 0", at_least(0),
          &T::warm_up),
  };
}

std::vector<Key> training_group() {
  return {
      key("epochs, num-epochs, n-epochs, max-epochs", start, "passes over the training examples", at_least(1),
          &T::epochs),
      key("batch-size, batch, bs, minibatch, mini-batch, minibatch-size", start, "examples per update", at_least(1),
          &T::batch_size),
      key("loss, criterion, objective", learning,
          "loss function; auto: cross-entropy for classes, mse for numbers, binary-cross-entropy for bits",
          row_of(nn::losses(), {"auto"}), &T::loss),
      key("sync-batch-norm, sync-bn", learning,
          "in several processes: compute the statistics of batch normalization over the examples of all processes, not "
          "of each",
          yes_or_no, &T::sync_batch_norm),
      key("patience, early-stopping", start,
          "stop after this many epochs without a better validation score and report the best epoch; 0: never stop "
          "early",
          at_least(0), &T::patience),
      key("seed, random-seed, random-state", comparison, "seed of all random numbers of the run", at_least(0),
          &T::seed),
      key("checkpoint-every, save-every", learning, "write a checkpoint every this many epochs, and after the last one",
          at_least(1), &T::checkpoint_every),
      key("evaluate-every, eval-every", learning, "evaluate on validation and test examples every this many epochs",
          at_least(1), &T::evaluate_every),
      key("record-alignment", comparison,
          "after each epoch, record the angle between each layer's gradient and that of backpropagation, and between W "
          "and B",
          yes_or_no, &T::record_alignment),
      key("record-dose, dose", comparison,
          "after each epoch, record the angle between each layer's gradient with and without modulation, the spread of "
          "its responsibilities, and the norm of its update",
          yes_or_no, &T::record_dose),
      key("arm-name, label, arm, run-name", comparison,
          "name of this run's arm in the record; empty: made from route and modulation", text("TEXT"), &Config::arm),
  };
}

std::vector<Key> continual_group() {
  return {
      key("scenario", examples, "how tasks are made from the data, see grapes list scenarios; none: one task",
          row_of(continual::scenarios(), {"none"}), &L::scenario),
      key("tasks, num-tasks, n-tasks", examples,
          "number of tasks; they are learned one after the other, each for `epochs` epochs", at_least(2), &L::tasks),
      key("manifest", examples,
          "file scenario.json of another run, to use its tasks; empty: each run draws its tasks by its seed",
          text("FILE.json"), &L::manifest),
      key("blur, blurry", examples,
          "fraction of each task's training examples that is exchanged with other tasks (blurred boundaries)",
          from_below(0, 1), &L::blur),
      key("optimizer-state", comparison,
          "whether the optimizer's velocities and moments are reset at the beginning of a task",
          one_of({"reset", "kept"}), &L::optimizer_state),
      key("curve-points", comparison, "number of evaluations during a task, including the one at its end", at_least(1),
          &L::curve_points),
      key("curve-examples", comparison, "number of test examples of each earlier task that these evaluations use",
          at_least(1), &L::curve_examples),
  };
}

std::vector<Key> method_group() {
  return {
      key("method", rule, "method against forgetting, see grapes list methods", row_of(continual::methods()),
          &L::method),
      key("ewc-strength", learning, "ewc, online-ewc: strength λ of the penalty (λ/2) Σ F (θ − θ_k)²", at_least(0),
          &L::ewc_strength),
      key("ewc-decay, ewc-gamma", learning,
          "online-ewc: factor γ by which the Fisher information of earlier tasks decays", upto(0, 1), &L::ewc_decay),
      key("fisher-examples", learning, "ewc, online-ewc: number of examples per task for the Fisher estimate; 0: all",
          at_least(0), &L::fisher_examples),
      key("fisher-classes", learning,
          "ewc, online-ewc: classes for the Fisher estimate; drawn: at random by the network's probabilities; true: "
          "the true classes, weighted by their probability",
          one_of({"drawn", "true"}), &L::fisher_classes),
      key("si-strength", learning, "si: strength c of the penalty c Σ Ω (θ − θ_k)²", at_least(0), &L::si_strength),
      key("si-damping", learning,
          "si: number ξ that is added to the squared change of a weight in the denominator of Ω", above(0),
          &L::si_damping),
      key("lwf-strength", learning, "lwf: weight of the loss term that compares the outputs with the old predictions",
          at_least(0), &L::lwf_strength),
      key("lwf-temperature", learning, "lwf: temperature T, by which logits are divided", above(0),
          &L::lwf_temperature),
      key("replay-buffer, buffer-size", learning, "methods that store examples: number of stored examples", at_least(1),
          &L::replay_buffer),
      key("replay-batch, memory-batch", learning,
          "replay, der, der++, er-ace, a-gem: number of stored examples that are added to a batch; 0: as many as the "
          "batch has",
          at_least(0), &L::replay_batch),
      key("der-alpha", learning, "der, der++: weight α of the loss term that compares the logits with the stored ones",
          at_least(0), &L::der_alpha),
      key("der-beta", learning, "der++: weight β of the loss term of additional stored examples", at_least(0),
          &L::der_beta),
  };
}

std::vector<Key> compare_group() {
  return {
      key("arms, rules, methods", comparison,
          "learning rules to compare: ROUTE, MODULATION, ROUTE+MODULATION, or the name of a table [arm.NAME]; "
          "continual learning: also METHOD or METHOD+...",
          arms_form(), &C::arms),
      key("seeds, num-seeds, n-seeds, runs, repeats", comparison,
          "number of runs per arm, with the seeds `seed`, `seed` + 1, ...", at_least(1), &C::seeds),
      key("tune", comparison, "choose each arm's learning rate from `grid`, on validation examples", yes_or_no,
          &C::tune),
      key("grid, learning-rates, lrs", comparison, "learning rates from which `tune` chooses", grid_form(), &C::grid),
      key("extend-grid, grid-extensions", comparison,
          "how many times an arm's grid may be extended by four rates on the side of its best rate, while this is the "
          "first or the last one",
          at_least(0), &C::extend_grid),
      key("tune-epochs", comparison, "epochs of a tuning run; 0: as many as `epochs`", at_least(0), &C::tune_epochs),
      key("tune-seeds", comparison,
          "number of tuning runs per learning rate, with seeds that the comparison does not use", at_least(1),
          &C::tune_seeds),
      key("sweep", comparison, "repeat the comparison for several values of a key", sweep_form(), &C::sweep),
      key("sweep-values", comparison, "values that replace {} in `sweep`", numbers_or_none(any_number()),
          &C::sweep_values),
      key("target-score", comparison,
          "test score; the report counts the epochs until a run reaches it; 0: 98 % of the baseline's final mean",
          at_least(0), &C::target),
      key("smallest-effect, smallest-effect-of-interest", comparison,
          "smallest difference of the score that matters, in the unit of the tables (points of accuracy); the report "
          "then says whether a difference is better, negligible, none, or not resolved; 0: not known",
          at_least(0), &C::smallest_effect),
  };
}

std::vector<Key> compatibility_group() {
  return {
      key("first-sample-mask", learning,
          "compute factors as if the units that dropout drops in a batch's first example had only weights of 0",
          yes_or_no, &Theirs::first_sample_mask),
      key("single-factor", learning,
          "use the last hidden layer's factors in every layer, for all examples of a batch except the first", yes_or_no,
          &Theirs::single_factor),
      key("unmasked-first", learning, "ifa: ignore dropout in the error of the first layer", yes_or_no,
          &Theirs::unmasked_first),
      key("factors-at-rest", learning, "nag: compute factors from the weights, not from the look-ahead weights",
          yes_or_no, &T::factors_at_rest),
      key("dropout-in-evaluation", learning, "residual networks: apply dropout in evaluation too", yes_or_no,
          &Theirs::dropout_in_evaluation),
      key("carry-remainder", learning,
          "make no update after an epoch's last, smaller batch; add its gradient to the next update", yes_or_no,
          &T::carry_remainder),
  };
}

std::vector<Key> machine_group() {
  return {
      key("device, gpu, cuda", machine, "device for weights and arithmetic", device_form(), &N::device),
      key("accumulate, gradient-accumulation, accumulation-steps", machine,
          "compute each batch, or each process's share of it, in this number of parts, to need less memory; the update "
          "is that of the whole batch",
          at_least(1), &T::accumulate),
      key("check-weights", machine, "in several processes: compare the weights of all processes every this many steps",
          at_least(1), &T::check_every),
      key("timeout", machine, "in several processes: seconds to wait for the others before the training ends", above(0),
          &Config::timeout),
      key("threads, num-threads, n-threads", machine, "threads per run", at_least(1), &Config::threads),
      key("jobs, workers, num-workers, n-jobs", machine, "runs at the same time; 0: as many as the cores allow",
          at_least(0), &Config::jobs),
  };
}

}  // namespace

std::vector<Key> training_keys() {
  return table_of({{"optimizer", optimizer_group()},
                   {"training", training_group()},
                   {"continual", continual_group()},
                   {"method", method_group()},
                   {"compare", compare_group()},
                   {"compatibility", compatibility_group()},
                   {"machine", machine_group()}});
}

}  // namespace grapes::experiment
