#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/data/sequence.h"

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

namespace grapes::data {
namespace {

using Json = nlohmann::json;

/// [time, 88]
at::Tensor piano_roll(const Json& chorale, const std::string& where) {
  if (!chorale.is_array() || chorale.size() < 2) throw DataError(where + ": expected a list of two steps or more");
  const at::Tensor roll = at::zeros({static_cast<std::int64_t>(chorale.size()), notes}, at::kByte);
  for (std::size_t t = 0; t < chorale.size(); ++t) {
    if (!chorale[t].is_array()) throw DataError(where + ", step " + std::to_string(t) + ": expected a list of notes");
    for (const Json& note : chorale[t]) {
      if (!note.is_number_integer() || note < lowest_note || note >= lowest_note + notes)
        throw DataError(where + ", step " + std::to_string(t) + ": expected a note of 21 to 108; got " + note.dump());
      roll[static_cast<std::int64_t>(t)][note.get<std::int64_t>() - lowest_note] = 1;
    }
  }
  return roll;
}

Sequences part(const Json& document, const std::string& name, const std::string& file) {
  if (!document.is_object() || !document.contains(name) || !document[name].is_array() || document[name].empty())
    throw DataError(file + ": the list \"" + name + "\" of chorales is missing");
  Sequences examples;
  for (std::size_t i = 0; i < document[name].size(); ++i) {
    const at::Tensor roll = piano_roll(document[name][i], file + ": " + name + ", chorale " + std::to_string(i));
    examples.inputs.push_back(roll.narrow(0, 0, roll.size(0) - 1));
    examples.bits.push_back(roll.narrow(0, 1, roll.size(0) - 1));
  }
  return examples;
}

}  // namespace

SequenceCollection read_chorales(const std::string& bytes, const std::string& file) {
  Json document;
  try {
    document = Json::parse(bytes);
  } catch (const Json::exception& error) {
    throw DataError(file + ": not JSON: " + error.what());
  }
  SequenceCollection all;
  all.info = {ProblemKind::prediction, {notes}, notes, {}, true};
  for (std::int64_t note = lowest_note; note < lowest_note + notes; ++note)
    all.info.classes.push_back("note " + std::to_string(note));
  all.train = part(document, "train", file);
  all.validation = part(document, "valid", file);
  all.test = part(document, "test", file);
  all.fingerprint = sha256(bytes);
  all.notes = {"loss: negative log-likelihood of the next step, summed over 88 notes, mean over all steps of the part"};
  return all;
}

}  // namespace grapes::data
