#include "grapes/train/trainer.h"

#include "grapes/base/stopwatch.h"
#include "grapes/kernels/threads.h"
#include "grapes/train/alignment.h"
#include "grapes/train/dose.h"
#include "grapes/train/evaluate.h"
#include "grapes/train/layers.h"
#include "grapes/train/loop.h"
#include "grapes/train/samples.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace grapes::train {
using record::Json;

record::Status train(TrainState& state, const data::Splits& splits, const Options& options, const RunWriter& writer,
                     const ProgressCallback& on_progress, dist::Group* group) {
  const kernels::FlushDenormals flush;
  const Progress& at = state.progress;
  const std::string score = score_name(splits.info.problem);

  at::Tensor correct;  // of the last evaluation, on test examples
  const auto evaluate_into = [&](Json& row) {
    const Stopwatch watch;
    for (const auto& [name, part] : {std::pair{"validation", splits.validation}, {"test", splits.test}}) {
      if (!part || part->size() == 0) continue;
      const Evaluation evaluation = evaluate(*state.model, *part, state.criterion, 1024, {}, group);
      row[fmt::format("{}_loss", name)] = evaluation.loss;
      row[fmt::format("{}_{}", name, score)] = evaluation.score;
      if (part == splits.test) correct = evaluation.correct;
    }
    row["evaluation_seconds"] = watch.seconds();
  };
  const auto write = [&](const Json& row) {
    writer.row(row, fmt::format("epoch {}/{}", at.epoch, options.epochs));
    if (on_progress)
      on_progress(
          {at.epoch, options.epochs, 1, 1, row.value("train_loss", 0.0), row.value("train_" + score, 0.0), 0, &row});
  };
  const auto layers = [&](Measured measured) {
    if (options.record_alignment || options.record_dose) {
      // The first examples in the order of the file are the same batch in every epoch and every run.
      const data::Batch batch =
          splits.train->get(at::arange(std::min(options.batch_size, splits.train->size()), at::kLong));
      const auto by = [&](auto measure) {
        return measure(*state.model, state.criterion, batch, options.seed, at.step);
      };
      if (options.record_alignment) measured.alignment = by(alignment);
      if (options.record_dose) measured.dose = by(dose);
    }
    return describe_layers(*state.model, measured);
  };
  const auto before_training = [&] {
    // A forward pass without an update, so that the first record contains the factors of the first batch.
    const at::NoGradGuard no_grad;
    const data::Batch first = splits.train->get(at::zeros({1}, at::kLong));
    nn::Pass pass;
    pass.training = true;
    pass.seed = options.seed;
    pass.present = first.present;
    state.model->forward(first.inputs, pass);
    Json row = {{"epoch", 0}, {"step", 0}, {"learning_rate", state.learning_rate * state.schedule->multiple(0)}};
    evaluate_into(row);
    row["layers"] = layers({.evaluated = true});
    write(row);
  };

  LoopCallbacks callbacks;
  callbacks.epoch = [&] { return epoch_of(*splits.train, splits.shuffle, options, at.epoch); };
  callbacks.after_epoch = [&](const EpochResult& result) {
    Json row = {{"epoch", at.epoch},
                {"step", at.step},
                {"learning_rate", result.learning_rate},
                {"train_loss", result.loss},
                {"train_" + score, result.score},
                {"seconds", result.seconds}};
    if (result.evaluate) evaluate_into(row);
    row["layers"] = layers({result.gradient_norms, result.update_norms, result.evaluate});
    write(row);
    Validation validation;
    if (row.contains("validation_loss")) validation = {row["validation_loss"], row["validation_" + score]};
    const bool counts =
        options.patience > 0 ? validation.score && *validation.score > at.best : at.epoch == options.epochs;
    if (counts && correct.defined() && writer.record != nullptr) {
      const std::int64_t* const flags = correct.data_ptr<std::int64_t>();
      writer.record->test_correct(std::vector<bool>(flags, flags + correct.numel()));
    }
    return validation;
  };

  if (at.step == 0 && at.epoch == 0) before_training();
  record::Status status = Loop(state, options, *splits.train, std::move(callbacks), writer, on_progress, group).run();
  if (status.state == record::State::finished) {
    if (const Json seen = samples(*state.model, splits, state.criterion); !seen.is_null() && writer.record != nullptr)
      writer.record->samples(seen);
    if (options.patience > 0) status.counts = at.best_epoch;
  }
  writer.finish(status);
  return status;
}

}  // namespace grapes::train
