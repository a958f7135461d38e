#include "grapes/cost/document.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace grapes::cost {
namespace {

using nlohmann::json;

json work_document(const Work& work, const Prices& prices) {
  json accesses = json::array();
  for (const Access& access : work.accesses)
    accesses.push_back({{"array", access.array},
                        {"size", access.size},
                        {"read", access.read},
                        {"written", access.written},
                        {"memory", prices.holding(access.size).name}});
  const Energy energy = prices.of(work);
  return {{"macs", work.macs},
          {"multiplications", work.multiplications},
          {"additions", work.additions},
          {"comparisons", work.comparisons},
          {"divisions", work.divisions},
          {"read", work.read()},
          {"written", work.written()},
          {"accesses", accesses},
          {"arithmetic_pj", energy.arithmetic},
          {"memory_pj", energy.memory}};
}

}  // namespace

nlohmann::json document_of(const LayerCost& layer, const Prices& prices) {
  json document = {
      {"name", layer.name},
      {"state", {{"feedback", layer.feedback}, {"optimizer", layer.optimizer_state}, {"factors", layer.factor_state}}},
      {"sent", {{"values", layer.up}, {"errors", layer.error}, {"factors", layer.factors}}},
      {"energy_pj", prices.of(layer).total()}};
  for (std::size_t phase = 0; phase < phases; ++phase)
    document["phases"][name_of(static_cast<Phase>(phase))] = work_document(layer.work[phase], prices);
  return document;
}

json documents_of(const std::vector<Arm>& arms, const Prices& prices) {
  json documents = json::array();
  for (const Arm& arm : arms) {
    const auto& bp = *std::find_if(arms.begin(), arms.end(), [&](const Arm& other) {
      return other.name == "bp" && other.optimizer == arm.optimizer;
    });
    const LayerCost cost = total(arm.layers), plain = total(bp.layers);
    const Work work = cost.all(), plain_work = plain.all();
    const double energy = prices.of(cost).total(), plain_energy = prices.of(plain).total();
    json by_phase;
    for (std::size_t phase = 0; phase < phases; ++phase)
      by_phase[name_of(static_cast<Phase>(phase))] = prices.of(cost.work[phase]).total();
    documents.push_back({{"arm", arm.name},
                         {"optimizer", arm.optimizer},
                         {"macs", work.macs},
                         {"other_operations", work.others()},
                         {"words", work.read() + work.written()},
                         {"state", cost.state()},
                         {"sent", cost.sent()},
                         {"sent_beyond_bp", cost.sent() - plain.sent()},
                         {"energy_pj", energy},
                         {"energy_by_phase_pj", by_phase},
                         {"to_bp",
                          {{"macs", work.macs / plain_work.macs},
                           {"words", (work.read() + work.written()) / (plain_work.read() + plain_work.written())},
                           {"energy", energy / plain_energy}}}});
  }
  return documents;
}

json document_of(const Study& study, const Prices& prices) {
  json layers = json::array();
  for (const LayerCost& layer : study.arm.layers) layers.push_back(document_of(layer, prices));
  return {{"model", study.model},
          {"input", study.problem.signature.input_shape},
          {"outputs", study.problem.signature.outputs},
          {"batch", study.batch},
          {"arm", study.arm.name},
          {"optimizer", study.arm.optimizer},
          {"numbers", prices.numbers.name},
          {"energies", {{"name", prices.table.name}, {"source", prices.table.source}}},
          {"layers", layers},
          {"total", document_of(total(study.arm.layers), prices)},
          {"arms", documents_of(study.arms, prices)}};
}

}  // namespace grapes::cost
