#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>

/// A run's metrics in TensorBoard's format. A file consists of records, each
///   u64 length, u32 masked CRC-32C of these 8 bytes, `length` bytes, u32 masked CRC-32C of those     (little-endian)
/// and each record holds one protocol buffer: Event { double wall_time = 1; int64 step = 2; string file_version = 3;
/// Summary summary = 5 }, Summary { repeated Value value = 1 }, Value { string tag = 1; float simple_value = 2 }.
namespace grapes::record {

/// Returns the first record of a file. @param wall_time  seconds since 1970, UTC
std::string first_event(double wall_time);

/// Returns a row of metrics (see record.h) as one event at its "step". "test_loss" becomes test/loss. A layer's
/// "weight_norm" becomes weight_norm/LAYER, and its factors' mean, sd, min and max become factor_mean/LAYER, ...
/// Numbers that are not finite are omitted.
std::string event(const nlohmann::json& row, double wall_time);

/// The first `count` complete records of a file, or as many as it has: their size in bytes and their number.
struct Events {
  std::string_view bytes;
  std::size_t count = 0;
};
Events whole_events(std::string_view file, std::size_t count);

}  // namespace grapes::record
