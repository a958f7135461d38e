#include "grapes/nn/chain.h"

#include "grapes/base/table.h"
#include "grapes/nn/init.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace grapes::nn {
namespace {

at::ScalarType dtype_of(const std::string& precision) {
  if (precision == "float32") return at::kFloat;
  if (precision == "float64") return at::kDouble;
  if (precision == "bf16") return at::kFloat;  // of weights and sums; see Dense::rounded
  throw UsageError("precision must be float32, float64 or bf16; got '" + precision + "'");
}

}  // namespace

Chain::Chain(const Options& options, std::vector<std::int64_t> nodes)
    : options_(options), nodes_(std::move(nodes)), dtype_(dtype_of(options.precision)) {
  const credit::RouteRow& route = find_row(credit::routes(), "route", options.route.name);
  find_row(credit::modulations(), "modulation", options.modulation.name);
  modulation_ = credit::resolve(options.modulation, route);
  route_ = route.make(options.route);
}

void Chain::add(credit::Block& block, std::uint64_t seed) {
  const credit::RouteRow& route = find_row(credit::routes(), "route", options_.route.name);
  const Initialiser& init = find_row(initialisers(), "initialiser", options_.init);
  std::string feedback_name = options_.feedback_init;
  if (feedback_name == "auto") feedback_name = init.name == "he_uniform" ? "he_uniform" : "nokland";
  const Initialiser& feedback_init = find_row(initialisers(), "initialiser", feedback_name);

  blocks_.push_back(&block);
  const std::size_t l = blocks_.size();
  Random random(stream_seed(seed, "init", l));
  block.weight = initialise(init, {nodes_[l], nodes_[l - 1]}, random, dtype_).requires_grad_();
  if (l + 1 == nodes_.size()) return;
  const auto [rows, columns] = route.feedback(nodes_, l);
  if (rows == 0) return;
  Random feedback_random(stream_seed(seed, "feedback", l));
  // he_uniform counts the nodes B arrives at, as the authors' program does; the others those it comes from.
  block.feedback = feedback_init.name == "he_uniform"
                       ? initialise(feedback_init, {columns, rows}, feedback_random, dtype_).t().contiguous()
                       : initialise(feedback_init, {rows, columns}, feedback_random, dtype_);
}

bool Chain::wants_incoming() const {
  return modulation_.name != "none" && modulation_.responsibility == credit::Responsibility::incoming;
}

bool Chain::stale(const Pass& pass) const {
  return factors_.empty() || pass.step / modulation_.every != fresh_step_ / modulation_.every;
}

void Chain::refresh(const Pass& pass, const credit::Weights& weights) {
  Random random(stream_seed(pass.seed, "modulation", static_cast<std::uint64_t>(pass.step)));
  factors_ = credit::factors(weights, modulation_, random);
  fresh_step_ = pass.step;
}

std::vector<Named> Chain::buffers() const {
  std::vector<Named> all;
  for (std::size_t l = 0; l < blocks_.size(); ++l)
    if (blocks_[l]->feedback.defined()) all.push_back({fmt::format("layers.{}.feedback", l), blocks_[l]->feedback});
  return all;
}

}  // namespace grapes::nn
