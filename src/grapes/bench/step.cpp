#include "grapes/bench/step.h"

#include "grapes/base/error.h"
#include "grapes/bench/memory.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace grapes::bench {

Learner::Learner(const Step& step, bool plain, dist::Group* group)
    : batch_(step.batch), state_(step.network, step.optimizer, {}, step.info) {
  options_.rate = step.rate;
  options_.fused_update = step.fused_update;
  options_.plain = plain;
  if (group == nullptr) return;
  sharing_.emplace(*state_.model, group, 1);
  options_.sharing = &*sharing_;
  options_.weight = 1.0 / group->size();
}

void Learner::step() {
  nn::Pass pass;
  pass.step = state_.progress.step++;
  train::step(state_, batch_, pass, options_);
}

std::vector<Step> under_both_rules(const Step& step) {
  std::vector<Step> both(2, step);
  both[0].labels.rule = "bp";
  both[1].labels.rule = both[1].network.rule.modulation = "grapes";
  return both;
}

void require_equal_to_reference(const std::vector<Step>& steps, const Agreement& agreement) {
  const kernels::FlushDenormals flush;
  kernels::set_threads(1);
  for (Step step : steps) {
    if (agreement.examples > 0 && agreement.examples < step.batch.inputs.size(0))
      step.batch = {step.batch.inputs.narrow(0, 0, agreement.examples),
                    step.batch.targets.narrow(0, 0, agreement.examples)};
    Learner fused(step), plain(step, true);
    std::vector<at::Tensor> start;
    for (const nn::Named& parameter : plain.parameters()) start.push_back(parameter.value.detach().clone());
    for (int i = 0; i < agreement.steps; ++i) {
      fused.step();
      plain.step();
    }
    const auto ours = fused.parameters(), reference = plain.parameters();
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const at::Tensor apart = ours[i].value - reference[i].value;
      const double difference =
          (agreement.of_update ? apart.norm() / (reference[i].value - start[i]).norm() : apart.abs().max())
              .item<double>();
      if (!(difference <= agreement.allowed))
        throw RunError(
            fmt::format("bench: the fused step of {} ({}, {}) differs from its reference by {:g}{} in {}, "
                        "more than {:g}; it is not timed",
                        step.labels.name, step.labels.rule, step.labels.optimizer, difference,
                        agreement.of_update ? " of the update's norm" : "", ours[i].name, agreement.allowed));
    }
  }
}

std::vector<Arm> arms(const std::vector<Step>& steps) {
  std::vector<Arm> all;
  for (const Step& step : steps) {
    all.push_back({step.labels, [learner = std::make_shared<Learner>(step)] { learner->step(); }});
    all.back().labels.peak_bytes = peak_bytes(step);
  }
  return all;
}

at::Tensor classes_in_turn(std::int64_t batch, std::int64_t classes) {
  return at::arange(batch, at::kLong).remainder(classes);
}

std::string joined(const std::vector<std::int64_t>& nodes) {
  if (nodes.size() > 6 && std::all_of(nodes.begin() + 2, nodes.end() - 1, [&](auto n) { return n == nodes[1]; }))
    return fmt::format("{}-{}x{}-{}", nodes.front(), nodes.size() - 2, nodes[1], nodes.back());
  return fmt::format("{}", fmt::join(nodes, "-"));
}

}  // namespace grapes::bench
