#include "grapes/data/chorales.h"

#include "grapes/base/error.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace grapes::data {
namespace {

using Json = nlohmann::json;

/// [time, 88]
at::Tensor piano_roll(const Json& chorale, const std::string& where) {
  if (!chorale.is_array() || chorale.size() < 2) throw DataError(where + ": expected a list of at least two steps");
  const at::Tensor roll = at::zeros({static_cast<std::int64_t>(chorale.size()), notes}, at::kByte);
  for (std::size_t t = 0; t < chorale.size(); ++t) {
    if (!chorale[t].is_array()) throw DataError(fmt::format("{}, step {}: expected a list of notes", where, t));
    for (const Json& note : chorale[t]) {
      if (!note.is_number_integer() || note < lowest_note || note >= lowest_note + notes)
        throw DataError(fmt::format("{}, step {}: expected a note of 21 to 108; got {}", where, t, note.dump()));
      roll[static_cast<std::int64_t>(t)][note.get<std::int64_t>() - lowest_note] = 1;
    }
  }
  return roll;
}

DatasetPtr part(const Json& document, const std::string& name, const std::string& file, const DatasetInfo& info) {
  if (!document.is_object() || !document.contains(name) || !document[name].is_array() || document[name].empty())
    throw DataError(file + ": the list \"" + name + "\" of chorales is missing");
  std::vector<at::Tensor> inputs, targets;
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < document[name].size(); ++i) {
    const at::Tensor roll = piano_roll(document[name][i], fmt::format("{}: {}, chorale {}", file, name, i));
    lengths.push_back(roll.size(0) - 1);
    inputs.push_back(roll.narrow(0, 0, lengths.back()));
    targets.push_back(roll.narrow(0, 1, lengths.back()));
  }
  return sequences(at::cat(inputs), at::cat(targets), at::tensor(lengths, at::kLong), info);
}

}  // namespace

Collection read_chorales(const SourceFiles& files) {
  const auto [file, bytes, owner] = files.read(0);
  Json document;
  try {
    document = Json::parse(bytes);
  } catch (const Json::exception& error) {
    throw DataError(file + ": invalid JSON: " + error.what());
  }
  DatasetInfo info = {ProblemKind::prediction, {notes}, notes, {}, true};
  for (std::int64_t note = lowest_note; note < lowest_note + notes; ++note)
    info.classes.push_back("note " + std::to_string(note));
  return {
      .train = part(document, "train", file, info),
      .validation = part(document, "valid", file, info),
      .test = part(document, "test", file, info),
      .notes = {
          "loss: negative log-likelihood of the next step, summed over 88 notes, averaged over all steps of the part"}};
}

}  // namespace grapes::data
