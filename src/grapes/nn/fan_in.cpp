#include "grapes/nn/fan_in.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace grapes::nn {
namespace {

std::int64_t hubs_of(const FanIn& fan_in, std::int64_t units) {
  return std::llround(fan_in.hub_share * static_cast<double>(units));
}

/// Returns the number of inputs of each unit.
std::vector<std::int64_t> counts(const FanIn& fan_in, std::int64_t units, std::int64_t inputs, Random& random) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(units), fan_in.inputs);
  if (fan_in.kind == FanIn::Kind::random) {
    const double p = static_cast<double>(fan_in.inputs) / static_cast<double>(inputs);
    for (std::int64_t& count : all) {
      count = 0;
      for (std::int64_t i = 0; i < inputs; ++i) count += random.uniform() < p ? 1 : 0;
      count = std::max<std::int64_t>(count, 1);
    }
  }
  if (fan_in.kind == FanIn::Kind::hubs) {
    const std::vector<std::int64_t> order = permutation(units, random);
    for (std::int64_t k = 0; k < hubs_of(fan_in, units); ++k)
      all[static_cast<std::size_t>(order[static_cast<std::size_t>(k)])] = fan_in.hub_inputs;
  }
  return all;
}

}  // namespace

FanIn parse_fan_in(const std::string& text) {
  using Kind = FanIn::Kind;
  if (text == "all") return {};
  const auto refuse = [&] {
    throw UsageError("fan-in '" + text +
                     "' must be all, a number of inputs like 8, random:8, or hubs:8,64,0.1 (of each "
                     "unit, of each hub, share of hubs)");
  };
  const std::size_t colon = text.find(':');
  const std::string word = colon == std::string::npos ? "" : text.substr(0, colon);
  const std::vector<std::string> numbers = split(colon == std::string::npos ? text : text.substr(colon + 1), ',');
  FanIn fan_in;
  fan_in.kind = word.empty() ? Kind::fixed : word == "random" ? Kind::random : Kind::hubs;
  if ((word != "" && word != "random" && word != "hubs") || numbers.size() != (word == "hubs" ? 3U : 1U)) refuse();
  const auto count = [&](const std::string& piece) {
    const auto number = to_integer(trim(piece));
    if (!number || *number < 1) refuse();
    return *number;
  };
  fan_in.inputs = count(numbers[0]);
  if (fan_in.kind != Kind::hubs) return fan_in;
  fan_in.hub_inputs = count(numbers[1]);
  const auto share = to_double(trim(numbers[2]));
  if (!share || !(*share > 0 && *share < 1)) refuse();
  fan_in.hub_share = *share;
  return fan_in;
}

std::string to_string(const FanIn& fan_in) {
  switch (fan_in.kind) {
    case FanIn::Kind::fixed:
      return std::to_string(fan_in.inputs);
    case FanIn::Kind::random:
      return "random:" + std::to_string(fan_in.inputs);
    case FanIn::Kind::hubs:
      return fmt::format("hubs:{},{},{}", fan_in.inputs, fan_in.hub_inputs, shortest(fan_in.hub_share));
    case FanIn::Kind::all:
      break;
  }
  return "all";
}

void require_fan_in(const FanIn& fan_in, std::int64_t units, std::int64_t inputs, const std::string& layer) {
  const std::int64_t most = std::max(fan_in.inputs, fan_in.hub_inputs);
  if (most > inputs)
    throw UsageError(fmt::format("fan-in {}: {} has only {} inputs; give at most as many, or a wider layer below it",
                                 to_string(fan_in), layer, inputs));
  if (fan_in.kind == FanIn::Kind::hubs && hubs_of(fan_in, units) == 0)
    throw UsageError(fmt::format("fan-in {}: {} has {} units, of which none would be a hub; give a larger share",
                                 to_string(fan_in), layer, units));
}

at::Tensor weight_mask(const FanIn& fan_in, std::int64_t units, std::int64_t inputs, Random& random) {
  at::Tensor mask = at::zeros({units, inputs}, at::kDouble);
  double* row = mask.data_ptr<double>();
  for (const std::int64_t count : counts(fan_in, units, inputs, random)) {
    const std::vector<std::int64_t> order = permutation(inputs, random);
    for (std::int64_t k = 0; k < count; ++k) row[order[static_cast<std::size_t>(k)]] = 1;
    row += inputs;
  }
  return mask;
}

}  // namespace grapes::nn
