#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace grapes::experiment {

/// Parity with the authors' program: train a case of format "grapes-golden/1" through the layers, rules and optimizers
/// of `grapes train` and compare.
struct ReplayResult {
  struct Line {
    std::string what;       ///< "weights after 4 updates", "outputs", "factors"
    double difference = 0;  ///< largest absolute one
  };
  std::string name;
  std::vector<Line> lines;
  double tolerance = 0;
  bool passed = false;
};
/// @param dtype  "float64" (tolerance 1e-12) or "float32" (2e-6)
/// @param out    "" or where to write our own weights, in the layout of the case's weights_after
/// @throws DataError naming the file and the field that is missing or of the wrong shape
ReplayResult replay(const std::filesystem::path& file, const std::string& dtype, const std::filesystem::path& out,
                    bool plain = false);

}  // namespace grapes::experiment
