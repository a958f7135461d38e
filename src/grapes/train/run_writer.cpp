#include "grapes/train/run_writer.h"

#include <fmt/format.h>

#include <utility>

namespace grapes::train {

void RunWriter::row(const record::Json& row, const std::string& place) const {
  if (record == nullptr) return;
  record->epoch(row);
  std::string line = place;
  for (const auto& [key, value] : row.items())
    if (value.is_number() && (key == "seconds" || key.ends_with("_loss") || key.starts_with("train_") ||
                              key.starts_with("validation_") || key.starts_with("test_")))
      line += fmt::format(", {} {:.5g}", key, value.get<double>());
  record->log(line);
  record::Status status;
  status.epoch = row.at("epoch");
  status.step = row.at("step");
  record->status(status);
}

void RunWriter::checkpoint(const std::string& name, Tensors content) const {
  if (!writes_checkpoints()) return;
  content.metadata.insert(metadata.begin(), metadata.end());
  content.tensors.insert(tensors.begin(), tensors.end());
  write_safetensors(record->folder() / "checkpoints" / (name + ".safetensors"), content);
}

void RunWriter::finish(const record::Status& status) const {
  if (record == nullptr) return;
  if (!status.message.empty()) record->log(status.message);
  record->finish(status);
}

}  // namespace grapes::train
