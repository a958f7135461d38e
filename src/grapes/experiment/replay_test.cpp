#include "grapes/experiment/replay.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace grapes::experiment {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> golden_cases() {
  std::vector<fs::path> files;
  const fs::path folder = fs::path(GRAPES_SOURCE_DIR) / ".." / "shared" / "reference";
  if (fs::exists(folder))
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".json" && entry.path().filename() != "index.json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

TEST(Replay, EqualsTheAuthorsProgramInBothPrecisions) {
  const auto files = golden_cases();
  if (files.empty()) GTEST_SKIP() << "the golden cases (../shared/reference) are not here";
  EXPECT_EQ(files.size(), 17U);
  for (const fs::path& file : files)
    for (const char* dtype : {"float64", "float32"}) {
      const ReplayResult result = replay(file, dtype, "");
      EXPECT_TRUE(result.passed) << file << " " << dtype;
      EXPECT_GE(result.lines.size(), 4U) << file << ": weights at three updates and the outputs";
      for (const auto& line : result.lines) EXPECT_LE(line.difference, result.tolerance) << file << " " << line.what;
    }
}

TEST(Replay, SaysWhichFieldIsWrong) {
  const fs::path file = fs::temp_directory_path() / "grapes-replay-test.json";
  const auto message = [&](const std::string& content) -> std::string {
    write_file(file, content);
    try {
      replay(file, "float64", "");
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message("{").find("not JSON"), std::string::npos);
  EXPECT_NE(message("{}").find("format"), std::string::npos);
  EXPECT_NE(message(R"({"format": "grapes-golden/1"})").find("layers"), std::string::npos);
  EXPECT_NE(message(R"({"format": "grapes-golden/1", "layers": [2, 2], "learn_type": "XX"})").find("learn_type"),
            std::string::npos);
  fs::remove(file);
}

}  // namespace
}  // namespace grapes::experiment
