#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>

/// A run's metrics as TensorBoard reads them. A file of records, each
///   u64 length, u32 masked CRC-32C of these 8 bytes, `length` bytes, u32 masked CRC-32C of those     (little-endian)
/// and in each record one protocol buffer: Event { double wall_time = 1; int64 step = 2; string file_version = 3;
/// Summary summary = 5 }, Summary { repeated Value value = 1 }, Value { string tag = 1; float simple_value = 2 }.
namespace grapes::record {

/// What a file begins with. @param wall_time  seconds since 1970, UTC
std::string first_event(double wall_time);

/// An epoch's row of metrics (see record.h) as one event at its "step". "test_loss" becomes test/loss; a layer's
/// "weight_norm" weight_norm/LAYER, and so its factor's mean, sd, min and max: factor_mean/LAYER. What is not finite is
/// left out.
std::string event(const nlohmann::json& row, double wall_time);

/// The first `count` whole records of a file, or as many as it has: `bytes` up to there, and how many.
struct Events {
  std::string_view bytes;
  std::size_t count = 0;
};
Events whole_events(std::string_view file, std::size_t count);

}  // namespace grapes::record
